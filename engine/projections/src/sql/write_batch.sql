-- Writes what one batch changed, and moves the checkpoint, in one statement: both happen or neither does, with no
-- COMMIT to misread. Everything selects FROM moved: where the checkpoint is not where this batch was read from,
-- somebody else has moved it, and nothing at all is written; likewise where its term ($27) is another holder's. A checkpoint that
-- another transaction holds (a promotion) is not waited for: others may share this transaction. $8: how far Kafka has
-- acknowledged what was pushed; null where nothing is. Why columns are compared with themselves: see write_known.sql.
WITH held AS (
    SELECT FROM read.checkpoint
    WHERE projection = $1 AND generation = $2 AND service = $3 AND partition = $4
    FOR NO KEY UPDATE SKIP LOCKED
),
moved AS (
    UPDATE read.checkpoint c SET next_offset = $6, epoch = $7, pushed = coalesce($8, c.pushed)
    FROM held
    WHERE c.projection = $1 AND c.generation = $2 AND c.service = $3 AND c.partition = $4 AND c.next_offset = $5 AND c.term = $27
    RETURNING c.projection, c.generation, c.service, c.partition, c.pushed
),
gone AS (
    DELETE FROM read.{parts} p
    USING moved, unnest($9::text[], $10::text[], $11::text[], $12::bigint[]) AS r (key, part, stream_id, "offset")
    WHERE p.key = r.key AND p.part = r.part AND p.service = moved.service AND p.stream_id = r.stream_id AND r."offset" = r."offset" + 0
    RETURNING moved.projection, moved.generation, moved.service, moved.partition, r."offset", p.key, p.part, p.stream_id
),
noted AS (
    INSERT INTO read.removed (projection, generation, service, partition, "offset", key, part, stream_id)
    SELECT projection, generation, service, partition, "offset", key, part, stream_id
    FROM gone
),
trimmed AS (
    DELETE FROM read.removed t
    USING moved
    WHERE t.projection = moved.projection AND t.generation = moved.generation AND t.service = moved.service
        AND t.partition = moved.partition AND t."offset" < moved.pushed
),
written AS (
    INSERT INTO read.{parts} (key, part, bytes, service, stream_id, partition, "offset", version, view /* columns */)
    SELECT w.key, w.part, w.bytes, moved.service, w.stream_id, moved.partition, w."offset", w.version, w.view /* of w */
    FROM moved, unnest($13::text[], $14::text[], $15::bytea[], $16::text[], $17::bigint[], $28::bigint[], $29::bytea[] /* arrays from $31 */)
        AS w (key, part, bytes, stream_id, "offset", version, view /* columns */)
    ON CONFLICT (key, part) DO UPDATE
    SET bytes = EXCLUDED.bytes, service = EXCLUDED.service, stream_id = EXCLUDED.stream_id, partition = EXCLUDED.partition,
        "offset" = EXCLUDED."offset", version = EXCLUDED.version, view = EXCLUDED.view /* excluded */
),
-- A stream that takes another one's place must not take its view with it.
displaced AS (
    INSERT INTO read.{parts}_view (service, stream_id, partition, "offset", version, view)
    SELECT p.service, p.stream_id, p.partition, p."offset", p.version, coalesce(p.view, p.bytes)
    FROM moved, unnest($13::text[], $14::text[], $16::text[]) AS w (key, part, stream_id)
    JOIN read.{parts} p ON p.key = w.key AND p.part = w.part AND p.stream_id <> w.stream_id
    WHERE w.key = w.key || '' AND p.version IS NOT NULL AND NOT p.stream_id = ANY ($20::text[] || $30::text[])
    ON CONFLICT (service, stream_id) DO NOTHING
),
-- The views of these streams ($30) are kept in their parts.
in_parts AS (
    DELETE FROM read.{parts}_view v
    USING moved, unnest($30::text[]) AS n (stream_id)
    WHERE v.stream_id = n.stream_id AND v.service = moved.service AND n.stream_id = n.stream_id || ''
),
writers AS (
    INSERT INTO read.{parts}_writer (key, service, stream_id)
    SELECT n.key, moved.service, n.stream_id
    FROM moved, unnest($18::text[], $19::text[]) AS n (key, stream_id)
    ON CONFLICT (key, service, stream_id) DO NOTHING
),
views AS (
    INSERT INTO read.{parts}_view (service, stream_id, partition, "offset", version, view)
    SELECT moved.service, v.stream_id, moved.partition, v."offset", v.version, v.view
    FROM moved, unnest($20::text[], $21::bigint[], $22::bigint[], $23::bytea[]) AS v (stream_id, "offset", version, view)
    ON CONFLICT (service, stream_id) DO UPDATE
    SET partition = EXCLUDED.partition, "offset" = EXCLUDED."offset", version = EXCLUDED.version, view = EXCLUDED.view
),
stopped AS (
    INSERT INTO read.parked (projection, generation, service, partition, stream_id, "offset", reason)
    SELECT moved.projection, moved.generation, moved.service, moved.partition, s.stream_id, s."offset", s.reason
    FROM moved, unnest($24::text[], $25::bigint[], $26::text[]) AS s (stream_id, "offset", reason)
    ON CONFLICT (projection, generation, service, stream_id) DO NOTHING
)
SELECT EXISTS (SELECT FROM held) AS held, EXISTS (SELECT FROM moved) AS moved
