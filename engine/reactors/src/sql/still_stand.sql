-- Which of some calls still stand, and whether this is the partition's holder ($3): what was disarmed is not fired.
SELECT EXISTS (SELECT FROM {schema}.reactor WHERE name = $1 AND partition = $2 AND term = $3),
    array(
        SELECT c.outcome_id
        FROM unnest($4::timestamptz[], $5::bigint[], $6::uuid[]) AS e (due_at, "offset", outcome_id)
        JOIN {schema}.call c
            ON c.name = $1 AND c.partition = $2 AND c.due_at = e.due_at AND c."offset" = e."offset" AND c.outcome_id = e.outcome_id
    )
