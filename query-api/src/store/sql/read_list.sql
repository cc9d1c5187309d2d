-- One page of a list, in rows as those of read_parts.sql: how far each partition of the generation has been folded, and the
-- parts behind the one that the page before ended with, in byte order. One statement, so one snapshot.
SELECT NULL::text AS part, NULL::bytea AS bytes, NULL::text AS service, NULL::int AS partition, NULL::text AS parked,
    array_agg(c.next_offset) AS next_offsets, array_agg(c.epoch) AS epochs, NULL::text AS key
FROM (
    SELECT next_offset, epoch
    FROM read.checkpoint
    WHERE projection = $1 AND generation = $2
    ORDER BY service, partition
) c
UNION ALL
(
    SELECT p.part, p.bytes, p.service, p.partition, (
            SELECT k.stream_id
            FROM read.parked k
            WHERE k.projection = $1 AND k.generation = $2 AND k.service = p.service AND k.stream_id = p.stream_id
            LIMIT 1
        ), NULL, NULL, p.key
    FROM read.{parts} p
    WHERE p.key = $3 AND p.part > $4
    ORDER BY p.part
    LIMIT $5
)
UNION ALL
(
    SELECT u.stream_id, NULL, u.service, u.partition, NULL, NULL, NULL, NULL
    FROM read.parked u
    WHERE u.projection = $1 AND u.generation = $2
        AND NOT EXISTS (SELECT FROM read.{parts} s WHERE s.stream_id = u.stream_id AND s.service = u.service)
    ORDER BY u.service, u.stream_id
    LIMIT 100
)
