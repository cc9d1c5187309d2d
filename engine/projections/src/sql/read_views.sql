-- The views of a batch's streams that are not in memory: those kept in the row of their stream's only part, and those in rows of their own.
SELECT p.stream_id, p.version, coalesce(p.view, p.bytes) AS view
FROM read.{parts} p
WHERE p.service = $1 AND p.stream_id = ANY ($2::text[]) AND p.version IS NOT NULL
UNION ALL
SELECT v.stream_id, v.version, v.view
FROM read.{parts}_view v
WHERE v.service = $1 AND v.stream_id = ANY ($2::text[])
