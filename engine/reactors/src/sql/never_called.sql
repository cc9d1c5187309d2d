-- Whether no call to the outside was ever begun for this row, which has no outcome yet. Only the partition's holder ($3) hears so: nobody else
-- can begin one meanwhile.
SELECT EXISTS (
    SELECT FROM {schema}.call c
    JOIN {schema}.reactor r ON r.name = $1 AND r.partition = $2 AND r.term = $3
    WHERE c.name = $1 AND c.partition = $2 AND c.due_at = $4 AND c."offset" = $5 AND c.outcome_id = $6
        AND c.calls = 0 AND c.called_until IS NULL AND c.type IS NULL
)
