-- The parts of one key in the byte order of their ids, and how far the partition of each has been folded: one
-- snapshot, so that what is served is what these positions say. LATERAL and LIMIT make it one look-up a part: a plain
-- join was seen to walk through all checkpoints for each.
SELECT p.part, p.bytes, p.service, p.partition, c.next_offset, c.epoch
FROM read.{parts} p
CROSS JOIN LATERAL (
    SELECT checkpoint.next_offset, checkpoint.epoch
    FROM read.checkpoint
    WHERE projection = $2 AND generation = $3 AND service = p.service AND partition = p.partition
    LIMIT 1
) c
WHERE p.key = $1
ORDER BY p.part
