-- The deadlines of a rule that a stream ($5) has armed and that are due before $3, the first due first. The stream's are taken first: in the
-- order of their times all others would be passed over.
WITH armed AS MATERIALIZED (
    SELECT due_at, "offset", service, target, outcome_id, deadline, source, type, hastened_at, tries, failure
    FROM {schema}.call
    WHERE name = $1 AND partition = $2 AND source = $5 AND deadline IS NOT NULL
)
SELECT * FROM armed
WHERE due_at < $3
ORDER BY due_at, "offset", outcome_id
LIMIT $4
