-- The streams that have, or ever had, a part under a key.
SELECT service, stream_id
FROM read.{new}_writer
WHERE key = $1
ORDER BY service, stream_id
