COPY read.{parts}_view (service, stream_id, partition, "offset", version, view) FROM STDIN (FORMAT binary)
