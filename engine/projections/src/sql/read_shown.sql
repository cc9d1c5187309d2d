-- The parts of some streams ($2) as they stand: those that rest on an event from $3 on, and all of the streams $4.
SELECT p.key, p.part, p.stream_id, p."offset", p.bytes
FROM read.{parts} p
WHERE p.service = $1 AND p.stream_id = ANY ($2::text[]) AND (p."offset" >= $3 OR p.stream_id = ANY ($4::text[]))
ORDER BY p.key, p.part
