-- The deadlines of a rule in a partition that are due before $3, the first due first.
SELECT due_at, "offset", service, target, outcome_id, deadline, source, type, hastened_at, tries, failure
FROM {schema}.call
WHERE name = $1 AND partition = $2 AND due_at < $3
ORDER BY due_at, "offset", outcome_id
LIMIT $4
