-- The open calls of a rule in a partition that are due by $6, behind this place, in order.
SELECT due_at, "offset", service, target, outcome_id, deadline, type, command, tries
FROM {schema}.call
WHERE name = $1 AND partition = $2 AND (due_at, "offset", outcome_id) > ($3, $4, $5) AND due_at <= $6
ORDER BY due_at, "offset", outcome_id
LIMIT $7
