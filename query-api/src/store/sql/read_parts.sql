-- All checkpoints of the generation, and the parts of one key: one snapshot, so that what is served is what these positions
-- say. The first row has the checkpoints, in order of service and partition; the others a part each, or, without bytes, a
-- stream that is parked and shows nothing: up to 100.
SELECT NULL::text AS part, NULL::bytea AS bytes, NULL::text AS service, NULL::int AS partition, NULL::text AS parked,
    array_agg(c.next_offset) AS next_offsets, array_agg(c.epoch) AS epochs, NULL::text AS key
FROM (
    SELECT next_offset, epoch
    FROM read.checkpoint
    WHERE projection = $2 AND generation = $3
    ORDER BY service, partition
) c
UNION ALL
SELECT p.part, p.bytes, p.service, p.partition, (
        SELECT k.stream_id
        FROM read.parked k
        WHERE k.projection = $2 AND k.generation = $3 AND k.service = p.service AND k.stream_id = p.stream_id
        LIMIT 1
    ), NULL, NULL, p.key
FROM read.{parts} p
WHERE p.key = $1
UNION ALL
(
    SELECT u.stream_id, NULL, u.service, u.partition, NULL, NULL, NULL, NULL
    FROM read.parked u
    WHERE u.projection = $2 AND u.generation = $3
        AND NOT EXISTS (SELECT FROM read.{parts} s WHERE s.stream_id = u.stream_id AND s.service = u.service)
    ORDER BY u.service, u.stream_id
    LIMIT 100
)
