-- The parts noted as removed by an event from $5 on; where the part is there again, or another reason brought the note,
-- the part itself.
SELECT r.key, r.part, coalesce(p.stream_id, r.stream_id) AS stream_id, coalesce(p."offset", r."offset") AS "offset", p.bytes
FROM read.removed r
LEFT JOIN read.{parts} p ON p.key = r.key AND p.part = r.part
WHERE r.projection = $1 AND r.generation = $2 AND r.service = $3 AND r.partition = $4 AND r."offset" >= $5
ORDER BY r."offset"
