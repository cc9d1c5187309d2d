-- Up to $3 events of one stream after a version ($2), in order, with their page's epoch and digest.
SELECT e."offset", e.stream_id, e.version, e.type, e.payload, e.metadata, e.recorded_at, e.digest, e.page, p.epoch, p.digest AS page_digest
FROM (
    SELECT *
    FROM {schema}.event_{n} e
    WHERE e.partition = {n} AND e.stream_id = $1 AND e.version > $2
    ORDER BY e.version
    LIMIT $3
) e
CROSS JOIN LATERAL (SELECT p.epoch, p.digest FROM {schema}.page_{n} p WHERE p.partition = {n} AND p.page = e.page LIMIT 1) p
ORDER BY e.version
