COPY read.{parts} (key, part, bytes, service, stream_id, partition, "offset", version, view) FROM STDIN (FORMAT binary)
