COPY read.{parts} (key, part, bytes, service, stream_id, partition, "offset") FROM STDIN (FORMAT binary)
