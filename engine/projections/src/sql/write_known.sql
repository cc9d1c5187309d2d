-- As write_batch.sql, for a batch that only changes rows that are there: no part is new or gone, nothing is parked, and no removal waits
-- to be pushed. An UPDATE locks and logs a row once, where ON CONFLICT does so twice. Where a row is not there after all, the statement
-- fails (it divides by nothing), and the batch is written by the other one. It is planned once a connection, at a time when the tables may
-- be small: comparing a column of the arrays with itself says nothing, but the planner takes it that few rows come of it, and looks each up
-- by the index instead of reading the whole index for all of them.
WITH held AS (
    SELECT FROM read.checkpoint
    WHERE projection = $1 AND generation = $2 AND service = $3 AND partition = $4
    FOR NO KEY UPDATE SKIP LOCKED
),
moved AS (
    UPDATE read.checkpoint c SET next_offset = $6, epoch = $7, pushed = coalesce($8, c.pushed)
    FROM held
    WHERE c.projection = $1 AND c.generation = $2 AND c.service = $3 AND c.partition = $4 AND c.next_offset = $5 AND c.term = $9
    RETURNING c.service
),
written AS (
    UPDATE read.{parts} p SET bytes = w.bytes, "offset" = w."offset", version = w.version, view = w.view /* changed */
    FROM moved, unnest($10::text[], $11::text[], $12::bytea[], $13::text[], $14::bigint[], $19::bigint[], $20::bytea[] /* arrays from $21 */)
        AS w (key, part, bytes, stream_id, "offset", version, view /* columns */)
    WHERE p.key = w.key AND p.part = w.part AND p.stream_id = w.stream_id AND p.service = moved.service AND w."offset" = w."offset" + 0
    RETURNING 1
),
views AS (
    UPDATE read.{parts}_view v SET "offset" = n."offset", version = n.version, view = n.view
    FROM moved, unnest($15::text[], $16::bigint[], $17::bigint[], $18::bytea[]) AS n (stream_id, "offset", version, view)
    WHERE v.stream_id = n.stream_id AND v.service = moved.service AND n.version = n.version + 0
    RETURNING 1
),
rows AS (
    SELECT EXISTS (SELECT FROM held) AS held, EXISTS (SELECT FROM moved) AS moved,
        (SELECT count(*) FROM written) AS parts, (SELECT count(*) FROM views) AS views
)
SELECT held,
    CASE WHEN moved AND (parts <> cardinality($10::text[]) OR views <> cardinality($15::text[])) THEN (parts / 0) = 0 ELSE moved END
FROM rows
