-- Notes calls that the events of a parked stream ask for, and takes away the deadlines that they disarm; only the partition's holder may.
-- Answers whether it is that ($3).
WITH held AS (
    SELECT FROM {schema}.reactor WHERE name = $1 AND partition = $2 AND term = $3
),
disarmed AS (
    DELETE FROM {schema}.call c
    USING held, unnest($13::text[], $14::text[], $15::bigint[]) AS d (source, deadline, "offset")
    WHERE c.name = $1 AND c.partition = $2 AND c.source = d.source AND c.deadline = d.deadline AND c.deadline IS NOT NULL AND c."offset" < d."offset"
),
called AS (
    INSERT INTO {schema}.call (name, partition, "offset", service, target, outcome_id, due_at, deadline, source, type, command)
    SELECT $1, $2, c."offset", c.service, c.target, c.outcome_id, c.due_at, c.deadline, c.source, c.type, c.command
    FROM held, unnest($4::bigint[], $5::text[], $6::text[], $7::uuid[], $8::timestamptz[], $9::text[], $10::text[], $11::text[], $12::bytea[])
        AS c ("offset", service, target, outcome_id, due_at, deadline, source, type, command)
    ON CONFLICT DO NOTHING
)
SELECT EXISTS (SELECT FROM held)
