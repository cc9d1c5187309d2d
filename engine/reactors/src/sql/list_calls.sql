-- The calls of a rule in a partition that are open, for one stream ($3) or for all, those that were tried most often first.
SELECT due_at, "offset", service, target, outcome_id, type, calls, called_until, tries, failure
FROM {schema}.call
WHERE name = $1 AND partition = $2 AND ($3::text IS NULL OR target = $3)
ORDER BY tries DESC, "offset", outcome_id
LIMIT $4
