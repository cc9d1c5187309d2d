-- The outcome of folding a parked stream ($6) again, in one statement: those parts that differ, its view, and whether it
-- is parked any more. Fenced by where the checkpoint stands ($5) and its term ($23), as a batch is. What is pushed of it lies in no span of
-- events: it is noted at the last offset ($14, $15: each part of the stream that there is or was), so that it is pushed
-- again after a death.
WITH moved AS (
    UPDATE read.checkpoint SET pushed = CASE WHEN cardinality($14::text[]) > 0 THEN least(pushed, next_offset - 1) ELSE pushed END
    WHERE projection = $1 AND generation = $2 AND service = $3 AND partition = $4 AND next_offset = $5 AND term = $23
    RETURNING projection, generation, service, partition, next_offset
),
gone AS (
    DELETE FROM read.{parts} p
    USING moved, unnest($7::text[], $8::text[]) AS r (key, part)
    WHERE p.key = r.key AND p.part = r.part AND p.service = moved.service AND p.stream_id = $6
),
written AS (
    INSERT INTO read.{parts} (key, part, bytes, service, stream_id, partition, "offset", version, view /* columns */)
    SELECT w.key, w.part, w.bytes, moved.service, $6, moved.partition, w."offset", w.version, w.view /* of w */
    FROM moved, unnest($9::text[], $10::text[], $11::bytea[], $12::bigint[], $24::bigint[], $25::bytea[] /* arrays from $26 */)
        AS w (key, part, bytes, "offset", version, view /* columns */)
    ON CONFLICT (key, part) DO UPDATE
    SET bytes = EXCLUDED.bytes, service = EXCLUDED.service, stream_id = EXCLUDED.stream_id, partition = EXCLUDED.partition,
        "offset" = EXCLUDED."offset", version = EXCLUDED.version, view = EXCLUDED.view /* excluded */
),
apart AS (
    DELETE FROM read.{parts}_view v
    USING moved
    WHERE v.stream_id = $6 AND v.service = moved.service AND array_length(array_remove($24::bigint[], NULL), 1) = 1
),
writers AS (
    INSERT INTO read.{parts}_writer (key, service, stream_id)
    SELECT n.key, moved.service, $6
    FROM moved, unnest($13::text[]) AS n (key)
    ON CONFLICT (key, service, stream_id) DO NOTHING
),
noted AS (
    INSERT INTO read.removed (projection, generation, service, partition, "offset", key, part, stream_id)
    SELECT moved.projection, moved.generation, moved.service, moved.partition, moved.next_offset - 1, n.key, n.part, $6
    FROM moved, unnest($14::text[], $15::text[]) AS n (key, part)
),
views AS (
    INSERT INTO read.{parts}_view (service, stream_id, partition, "offset", version, view)
    SELECT moved.service, $6, moved.partition, v."offset", v.version, v.view
    FROM moved, unnest($16::bigint[], $17::bigint[], $18::bytea[]) AS v ("offset", version, view)
    ON CONFLICT (service, stream_id) DO UPDATE
    SET partition = EXCLUDED.partition, "offset" = EXCLUDED."offset", version = EXCLUDED.version, view = EXCLUDED.view
),
passed_over AS (
    INSERT INTO read.skipped (projection, service, partition, stream_id, "offset", reason)
    SELECT moved.projection, moved.service, moved.partition, k.stream_id, k."offset", k.reason
    FROM moved
    JOIN read.parked k ON k.projection = moved.projection AND k.generation = moved.generation AND k.service = moved.service AND k.stream_id = $6
    WHERE k."offset" = $19::bigint
    ON CONFLICT (projection, service, stream_id, "offset") DO NOTHING
),
freed AS (
    DELETE FROM read.parked k
    USING moved
    WHERE k.projection = moved.projection AND k.generation = moved.generation AND k.service = moved.service AND k.stream_id = $6
        AND $20::bigint IS NULL
),
stopped AS (
    UPDATE read.parked k
    SET "offset" = $20, reason = $21, attempts = k.attempts + 1, asked = CASE WHEN k.asked IS NOT DISTINCT FROM $22 THEN NULL ELSE k.asked END
    FROM moved
    WHERE k.projection = moved.projection AND k.generation = moved.generation AND k.service = moved.service AND k.stream_id = $6
        AND $20::bigint IS NOT NULL
)
SELECT FROM moved
