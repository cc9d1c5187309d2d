-- The indexes of a generation's parts. Columns that a batch rewrites stand in none, so an update touches no index.
ALTER TABLE read.{parts} ADD PRIMARY KEY (key, part);
CREATE INDEX {parts}_stream ON read.{parts} (stream_id)
