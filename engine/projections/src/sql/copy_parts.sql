COPY read.{parts} (key, part, bytes, service, stream_id, partition, "offset", version, view /* columns */) FROM STDIN (FORMAT binary)
