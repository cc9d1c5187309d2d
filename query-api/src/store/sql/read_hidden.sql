-- How far each partition of a generation has been folded, and its streams that are parked and show nothing: the first of
-- them, and one more than are named. One statement, so one snapshot.
SELECT c.service, c.partition, c.next_offset, c.epoch, u.streams
FROM read.checkpoint c
CROSS JOIN LATERAL (
    SELECT array_agg(n.stream_id ORDER BY n.stream_id) AS streams
    FROM (
        SELECT k.stream_id
        FROM read.parked k
        WHERE k.projection = c.projection AND k.generation = c.generation AND k.service = c.service AND k.partition = c.partition
            AND NOT EXISTS (SELECT FROM read.{parts} p WHERE p.stream_id = k.stream_id AND p.service = k.service)
        ORDER BY k.stream_id
        LIMIT 21
    ) n
) u
WHERE c.projection = $1 AND c.generation = $2
