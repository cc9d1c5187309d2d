-- Tables that a batch is copied to before one statement takes it from there.
CREATE TEMP TABLE copied_part (key text COLLATE "C", part text COLLATE "C", bytes bytea, stream_id text COLLATE "C", "offset" bigint,
    version bigint) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE copied_writer (key text COLLATE "C", stream_id text COLLATE "C") ON COMMIT DELETE ROWS
