-- The streams of one log partition that wait behind an event which could not be folded.
SELECT stream_id
FROM read.parked
WHERE projection = $1 AND generation = $2 AND service = $3 AND partition = $4
