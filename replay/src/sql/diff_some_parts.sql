-- As diff_parts.sql, but only of the parts that are named.
SELECT d.key, d.part, d.old, d.new, d.service, d.stream_id, d.partition, d.moved, ov.version, ov."offset", nv.version, nv."offset"
FROM (
    SELECT w.key, w.part, o.bytes AS old, n.bytes AS new,
        coalesce(n.service, o.service) AS service, coalesce(n.stream_id, o.stream_id) AS stream_id, coalesce(n.partition, o.partition) AS partition,
        (o.service, o.stream_id) <> (n.service, n.stream_id) AS moved
    FROM unnest($1::text[], $2::text[]) AS w (key, part)
    LEFT JOIN read.{old} o ON o.key = w.key AND o.part = w.part
    LEFT JOIN read.{new} n ON n.key = w.key AND n.part = w.part
    WHERE o.bytes IS DISTINCT FROM n.bytes
) d
LEFT JOIN LATERAL (
{standing in old}
) ov ON true
LEFT JOIN LATERAL (
{standing in new}
) nv ON true
