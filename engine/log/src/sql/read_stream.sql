-- All events of one stream, in order, with their page's epoch and digest.
SELECT e."offset", e.stream_id, e.version, e.type, e.payload, e.metadata, e.recorded_at, e.digest, e.page, p.epoch, p.digest AS page_digest
FROM {schema}.event_{n} e
CROSS JOIN LATERAL (SELECT p.epoch, p.digest FROM {schema}.page_{n} p WHERE p.partition = {n} AND p.page = e.page LIMIT 1) p
WHERE e.partition = {n} AND e.stream_id = $1
ORDER BY e.version
