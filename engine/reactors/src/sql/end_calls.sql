-- The outcomes of these calls have come to an end: the ledger has them.
DELETE FROM {schema}.call c
USING unnest($3::bigint[], $4::uuid[]) AS e ("offset", outcome_id)
WHERE c.name = $1 AND c.partition = $2 AND c."offset" = e."offset" AND c.outcome_id = e.outcome_id
