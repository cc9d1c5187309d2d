-- Events from an offset on, in order, with their page's epoch and digest. The limit stands inside and the page is looked up
-- for each: written as a plain join, the planner, without statistics, was seen to read all events of each page again and again.
SELECT e."offset", e.stream_id, e.version, e.type, e.payload, e.metadata, e.recorded_at, e.digest, e.page, p.epoch, p.digest AS page_digest
FROM (
    SELECT *
    FROM {schema}.event_{n} e
    WHERE e.partition = {n} AND e."offset" >= $1
    ORDER BY e."offset"
    LIMIT $2
) e
CROSS JOIN LATERAL (SELECT p.epoch, p.digest FROM {schema}.page_{n} p WHERE p.partition = {n} AND p.page = e.page LIMIT 1) p
ORDER BY e."offset"
