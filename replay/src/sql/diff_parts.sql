-- Parts that are not the same in two generations, each with where its stream stands in both.
SELECT d.key, d.part, d.old, d.new, d.service, d.stream_id, d.partition, d.moved, ov.version, ov."offset", nv.version, nv."offset"
FROM (
    SELECT coalesce(n.key, o.key) AS key, coalesce(n.part, o.part) AS part, o.bytes AS old, n.bytes AS new,
        coalesce(n.service, o.service) AS service, coalesce(n.stream_id, o.stream_id) AS stream_id, coalesce(n.partition, o.partition) AS partition,
        (o.service, o.stream_id) <> (n.service, n.stream_id) AS moved
    FROM read.{old} o
    FULL JOIN read.{new} n ON n.key = o.key AND n.part = o.part
    WHERE o.bytes IS DISTINCT FROM n.bytes
) d
LEFT JOIN LATERAL (
{standing in old}
) ov ON true
LEFT JOIN LATERAL (
{standing in new}
) nv ON true
