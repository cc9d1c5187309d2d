-- The events of one log partition that every fold of the projection passes over.
SELECT stream_id, "offset"
FROM read.skipped
WHERE projection = $1 AND service = $2 AND partition = $3
