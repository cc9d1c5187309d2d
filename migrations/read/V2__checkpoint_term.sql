-- Who holds a checkpoint: raised by each takeover (engine/projections/src/sql/take_over.sql). A holder of a lower term writes nothing.
ALTER TABLE checkpoint ADD COLUMN term bigint NOT NULL DEFAULT 0;
