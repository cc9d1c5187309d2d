-- The index of a generation's views.
ALTER TABLE read.{parts}_view ADD PRIMARY KEY (service, stream_id);
ANALYZE read.{parts}_view
