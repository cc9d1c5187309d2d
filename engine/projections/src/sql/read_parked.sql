-- The streams of one log partition that wait behind an event which could not be folded, and whether anything of them is shown.
-- (Not EXISTS among what is selected: that may be answered by reading all parts once.)
SELECT k.stream_id, s.shown IS NOT NULL
FROM read.parked k
LEFT JOIN LATERAL (
    SELECT true AS shown FROM read.{parts} p WHERE p.stream_id = k.stream_id AND p.service = k.service LIMIT 1
) s ON true
WHERE k.projection = $1 AND k.generation = $2 AND k.service = $3 AND k.partition = $4
