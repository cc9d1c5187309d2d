-- The version and offset that the stream of a row d stands at in a generation: in the row of its only part, or in a row of its view's own.
SELECT p.version, p."offset" FROM read.{parts} p WHERE p.service = d.service AND p.stream_id = d.stream_id AND p.version IS NOT NULL
UNION ALL
SELECT v.version, v."offset" FROM read.{parts}_view v WHERE v.service = d.service AND v.stream_id = d.stream_id
