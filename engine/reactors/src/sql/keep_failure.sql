-- An attempt at a call has failed.
UPDATE {schema}.call c SET tries = $6, failure = $7
FROM {schema}.reactor r
WHERE c.name = $1 AND c.partition = $2 AND c."offset" = $4 AND c.outcome_id = $5
    AND r.name = $1 AND r.partition = $2 AND r.term = $3
