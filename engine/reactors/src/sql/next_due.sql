-- When the first call behind this place is due.
SELECT due_at
FROM {schema}.call
WHERE name = $1 AND partition = $2 AND (due_at, "offset", outcome_id) > ($3, $4, $5)
ORDER BY due_at, "offset", outcome_id
LIMIT 1
