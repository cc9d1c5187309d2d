-- The deadlines of a rule in a partition that are due before $4, of one stream ($3) or of all, the first due first.
SELECT due_at, "offset", service, target, outcome_id, deadline, source, type, hastened_at, tries, failure
FROM {schema}.call
WHERE name = $1 AND partition = $2 AND ($3::text IS NULL OR source = $3) AND due_at < $4
ORDER BY due_at, "offset", outcome_id
LIMIT $5
