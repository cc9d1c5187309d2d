-- Moves a rule's marks on from where they were read ($3, $4, term $5) to $6, $7, epoch $8, parks streams, notes the calls that events
-- ask for, and takes away the deadlines that they disarm. Answers whether the marks were free to be moved, and whether they have moved.
WITH held AS (
    SELECT FROM {schema}.reactor WHERE name = $1 AND partition = $2 FOR NO KEY UPDATE SKIP LOCKED
),
moved AS (
    UPDATE {schema}.reactor r SET next_offset = $6, settled = $7, epoch = $8
    FROM held
    WHERE r.name = $1 AND r.partition = $2 AND r.next_offset = $3 AND r.settled = $4 AND r.term = $5
    RETURNING 1
),
parked AS (
    INSERT INTO {schema}.reactor_parked (name, partition, stream_id, version, "offset", reason)
    SELECT $1, $2, p.stream_id, p.version, p."offset", p.reason
    FROM moved, unnest($9::text[], $10::bigint[], $11::bigint[], $12::text[]) AS p (stream_id, version, "offset", reason)
    ON CONFLICT DO NOTHING
),
disarmed AS (
    DELETE FROM {schema}.call c
    USING moved, unnest($22::text[], $23::text[], $24::bigint[]) AS d (source, deadline, "offset")
    WHERE c.name = $1 AND c.partition = $2 AND c.source = d.source AND c.deadline = d.deadline AND c.deadline IS NOT NULL AND c."offset" < d."offset"
),
called AS (
    INSERT INTO {schema}.call (name, partition, "offset", service, target, outcome_id, due_at, deadline, source, type, command)
    SELECT $1, $2, c."offset", c.service, c.target, c.outcome_id, c.due_at, c.deadline, c.source, c.type, c.command
    FROM moved, unnest($13::bigint[], $14::text[], $15::text[], $16::uuid[], $17::timestamptz[], $18::text[], $19::text[], $20::text[], $21::bytea[])
        AS c ("offset", service, target, outcome_id, due_at, deadline, source, type, command)
    ON CONFLICT DO NOTHING
)
SELECT EXISTS (SELECT FROM held), EXISTS (SELECT FROM moved)
