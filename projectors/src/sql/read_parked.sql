-- The streams of one log partition that wait behind an event which could not be folded, and whether anything of them is shown.
SELECT k.stream_id, EXISTS (SELECT FROM read.{parts} p WHERE p.stream_id = k.stream_id AND p.service = k.service)
FROM read.parked k
WHERE projection = $1 AND generation = $2 AND service = $3 AND partition = $4
