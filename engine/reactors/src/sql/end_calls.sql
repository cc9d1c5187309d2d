-- Nothing is left to do for these calls: the ledger has their outcomes, or they are of a past that the log has not. Only the partition's
-- holder ($3) takes them away.
DELETE FROM {schema}.call c
USING unnest($4::timestamptz[], $5::bigint[], $6::uuid[]) AS e (due_at, "offset", outcome_id), {schema}.reactor r
WHERE c.name = $1 AND c.partition = $2 AND c.due_at = e.due_at AND c."offset" = e."offset" AND c.outcome_id = e.outcome_id
    AND r.name = $1 AND r.partition = $2 AND r.term = $3
