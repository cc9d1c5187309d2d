COPY read.{parts}_writer (key, service, stream_id) FROM STDIN (FORMAT binary)
