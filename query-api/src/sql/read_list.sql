-- One page of a list: how far each partition of the generation has been folded, and the parts behind the one that the
-- page before ended with, in byte order. One statement, so one snapshot.
SELECT service, partition, next_offset, epoch, NULL::text AS part, NULL::bytea AS bytes
FROM read.checkpoint
WHERE projection = $1 AND generation = $2
UNION ALL
(
    SELECT NULL, NULL, NULL, NULL, part, bytes
    FROM read.{parts}
    WHERE key = $3 AND part > $4
    ORDER BY part
    LIMIT $5
)
