-- From the last event of a stock, which fell below its reorder point, to the first event of its reordering, in microseconds; $1: a
-- pattern of the reorderings' stream ids. Both times are their pages': taken before a page is decided and committed, so that their
-- difference holds one commit.
SELECT (extract(epoch FROM r.recorded_at - s.recorded_at) * 1e6)::float8 AS hop
FROM inventory.event r
CROSS JOIN LATERAL (
    SELECT max(e.recorded_at) AS recorded_at FROM inventory.event e WHERE e.stream_id = 'stock/' || substr(r.stream_id, 9)
) s
WHERE r.stream_id LIKE $1 AND r.version = 1
