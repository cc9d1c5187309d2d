-- A parked stream flows again; only the partition's holder may say so.
DELETE FROM {schema}.reactor_parked p
USING {schema}.reactor r
WHERE p.name = $1 AND p.partition = $2 AND p.stream_id = $3 AND r.name = $1 AND r.partition = $2 AND r.term = $4
