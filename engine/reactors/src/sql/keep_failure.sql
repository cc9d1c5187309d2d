-- An attempt at a call has failed.
UPDATE {schema}.call c SET tries = $7, failure = $8
FROM {schema}.reactor r
WHERE c.name = $1 AND c.partition = $2 AND c.due_at = $4 AND c."offset" = $5 AND c.outcome_id = $6
    AND r.name = $1 AND r.partition = $2 AND r.term = $3
