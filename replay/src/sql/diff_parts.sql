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
    SELECT p.version, p."offset" FROM read.{old} p WHERE p.service = d.service AND p.stream_id = d.stream_id AND p.version IS NOT NULL
    UNION ALL
    SELECT v.version, v."offset" FROM read.{old}_view v WHERE v.service = d.service AND v.stream_id = d.stream_id
) ov ON true
LEFT JOIN LATERAL (
    SELECT p.version, p."offset" FROM read.{new} p WHERE p.service = d.service AND p.stream_id = d.stream_id AND p.version IS NOT NULL
    UNION ALL
    SELECT v.version, v."offset" FROM read.{new}_view v WHERE v.service = d.service AND v.stream_id = d.stream_id
) nv ON true
