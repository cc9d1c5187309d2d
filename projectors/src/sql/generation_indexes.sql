-- The indexes of one generation's tables. Columns that a batch rewrites stand in none, so an update touches no index.
ALTER TABLE read.{parts} ADD PRIMARY KEY (key, part);
CREATE INDEX {parts}_stream ON read.{parts} (stream_id);
ALTER TABLE read.{parts}_view ADD PRIMARY KEY (service, stream_id);
ALTER TABLE read.{parts}_writer ADD PRIMARY KEY (key, service, stream_id);
