-- The views of a batch's streams that are not in memory.
SELECT stream_id, version, view
FROM read.{parts}_view
WHERE service = $1 AND stream_id = ANY ($2::text[])
