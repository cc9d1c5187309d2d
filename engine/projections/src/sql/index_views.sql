-- The index of a generation's views. The stream first: it tells two rows apart, the service hardly ever does.
ALTER TABLE read.{parts}_view ADD PRIMARY KEY (stream_id, service)
