-- A parked stream was tried again in vain, or has got further.
UPDATE {schema}.reactor_parked p SET version = $5, "offset" = $6, reason = $7, asked = NULL
FROM {schema}.reactor r
WHERE p.name = $1 AND p.partition = $2 AND p.stream_id = $3 AND r.name = $1 AND r.partition = $2 AND r.term = $4
