-- The open calls of a rule in a partition, behind this place, in order.
SELECT "offset", service, target, outcome_id, type, command, tries
FROM {schema}.call
WHERE name = $1 AND partition = $2 AND ("offset", outcome_id) > ($3, $4)
ORDER BY "offset", outcome_id
LIMIT $5
