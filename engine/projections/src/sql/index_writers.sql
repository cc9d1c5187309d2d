-- The index of a generation's writers.
ALTER TABLE read.{parts}_writer ADD PRIMARY KEY (key, service, stream_id)
