-- Parts of several keys whose ids begin with a text, and how far each partition of the generation has been folded.
SELECT service, partition, next_offset, epoch, NULL::text AS key, NULL::text AS part, NULL::bytea AS bytes
FROM read.checkpoint
WHERE projection = $1 AND generation = $2
UNION ALL
(
    SELECT NULL, NULL, NULL, NULL, p.key, p.part, p.bytes
    FROM unnest($3::text[]) AS k (key)
    JOIN read.{parts} p ON p.key = k.key AND starts_with(p.part, $4)
    ORDER BY p.key, p.part
)
