-- A holder that ends in order gives its checkpoints up (engine/projections/src/sql/give_up.sql): where this is the term that stands, nobody
-- holds it, and who stands by need not wait. A takeover by any build raises the term, and so ends that.
ALTER TABLE checkpoint ADD COLUMN given_up_at_term bigint NOT NULL DEFAULT -1;
