-- Keeps the outcome of a call; only the partition's holder ($3) may, and the first outcome stays. Answers whether it is the holder, and
-- what stands; nothing stands where the row has gone.
WITH held AS (
    SELECT FROM {schema}.reactor WHERE name = $1 AND partition = $2 AND term = $3
),
kept AS (
    UPDATE {schema}.call c
    SET type = coalesce(c.type, $7), command = CASE WHEN c.type IS NULL THEN $8 ELSE c.command END, failure = NULL
    FROM held
    WHERE c.name = $1 AND c.partition = $2 AND c.due_at = $4 AND c."offset" = $5 AND c.outcome_id = $6
    RETURNING c.type, c.command
)
SELECT EXISTS (SELECT FROM held), (SELECT type FROM kept), (SELECT command FROM kept)
