-- Says that a call to the outside is under way for so many seconds from now, by this database's clock. Only the partition's holder ($3)
-- may, and only where no other call may be under way: none was begun, its time is over, or it was one's own ($8: the number that it had).
-- Answers whether it is the holder; the number of this call; and, of the row as it stood before, whether it is there, its outcome, and
-- the seconds that another call may still take.
WITH held AS (
    SELECT FROM {schema}.reactor WHERE name = $1 AND partition = $2 AND term = $3
),
stamped AS (
    UPDATE {schema}.call c SET calls = c.calls + 1, called_until = clock_timestamp() + make_interval(secs => $7)
    FROM held
    WHERE c.name = $1 AND c.partition = $2 AND c.due_at = $4 AND c."offset" = $5 AND c.outcome_id = $6 AND c.type IS NULL
        AND (c.called_until IS NULL OR c.called_until <= clock_timestamp() OR c.calls = $8)
    RETURNING c.calls
),
was AS (
    SELECT type, command, called_until FROM {schema}.call
    WHERE name = $1 AND partition = $2 AND due_at = $4 AND "offset" = $5 AND outcome_id = $6
)
SELECT EXISTS (SELECT FROM held), (SELECT calls FROM stamped), EXISTS (SELECT FROM was), (SELECT type FROM was), (SELECT command FROM was),
    (SELECT extract(epoch FROM called_until - clock_timestamp())::float8 FROM was)
