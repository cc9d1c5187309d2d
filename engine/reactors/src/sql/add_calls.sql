-- Notes calls that the events of a parked stream ask for; only the partition's holder may. Answers whether it is that ($3).
WITH held AS (
    SELECT FROM {schema}.reactor WHERE name = $1 AND partition = $2 AND term = $3
),
called AS (
    INSERT INTO {schema}.call (name, partition, "offset", service, target, outcome_id)
    SELECT $1, $2, c."offset", c.service, c.target, c.outcome_id
    FROM held, unnest($4::bigint[], $5::text[], $6::text[], $7::uuid[]) AS c ("offset", service, target, outcome_id)
    ON CONFLICT DO NOTHING
)
SELECT EXISTS (SELECT FROM held)
