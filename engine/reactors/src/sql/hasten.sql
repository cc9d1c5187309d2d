-- An operator asks the holder of a partition to fire a stream's deadline now.
UPDATE {schema}.call SET hastened_at = coalesce(hastened_at, now())
WHERE name = $1 AND partition = $2 AND source = $3 AND deadline = $4
RETURNING due_at, "offset", service, target, outcome_id, deadline, source, type, hastened_at, tries, failure
