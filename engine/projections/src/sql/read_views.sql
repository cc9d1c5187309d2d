-- The views of a batch's streams that are not in memory. Where a stream's only part is its view, that is kept once: in
-- the part.
SELECT v.stream_id, v.version, coalesce(v.view, p.bytes) AS view
FROM read.{parts}_view v
LEFT JOIN read.{parts} p ON v.view IS NULL AND p.stream_id = v.stream_id AND p.service = v.service
WHERE v.service = $1 AND v.stream_id = ANY ($2::text[])
