-- The deadlines of a rule in a partition that an operator has hastened.
SELECT due_at, "offset", service, target, outcome_id, deadline, type, command, tries
FROM {schema}.call
WHERE name = $1 AND partition = $2 AND hastened_at IS NOT NULL
ORDER BY due_at, "offset", outcome_id
LIMIT $3
