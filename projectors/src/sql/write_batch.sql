-- Writes what one batch changed, and moves the checkpoint, in one statement: both happen or neither does, with no
-- COMMIT to misread. Everything selects FROM moved: where the checkpoint is not where this batch was read from,
-- somebody else has moved it, and nothing at all is written.
WITH moved AS (
    UPDATE read.checkpoint SET next_offset = $6, epoch = $7
    WHERE projection = $1 AND generation = $2 AND service = $3 AND partition = $4 AND next_offset = $5
    RETURNING projection, generation, service, partition
),
removed AS (
    DELETE FROM read.{parts} p
    USING moved, unnest($8::text[], $9::text[], $10::text[]) AS r (key, part, stream_id)
    WHERE p.key = r.key AND p.part = r.part AND p.service = moved.service AND p.stream_id = r.stream_id
),
written AS (
    INSERT INTO read.{parts} (key, part, bytes, service, stream_id, partition, "offset")
    SELECT w.key, w.part, w.bytes, moved.service, w.stream_id, moved.partition, w."offset"
    FROM moved, unnest($11::text[], $12::text[], $13::bytea[], $14::text[], $15::bigint[]) AS w (key, part, bytes, stream_id, "offset")
    ON CONFLICT (key, part) DO UPDATE
    SET bytes = EXCLUDED.bytes, service = EXCLUDED.service, stream_id = EXCLUDED.stream_id, partition = EXCLUDED.partition, "offset" = EXCLUDED."offset"
),
views AS (
    INSERT INTO read.{parts}_view (service, stream_id, partition, "offset", version, view)
    SELECT moved.service, v.stream_id, moved.partition, v."offset", v.version, v.view
    FROM moved, unnest($16::text[], $17::bigint[], $18::bigint[], $19::bytea[]) AS v (stream_id, "offset", version, view)
    ON CONFLICT (service, stream_id) DO UPDATE
    SET partition = EXCLUDED.partition, "offset" = EXCLUDED."offset", version = EXCLUDED.version, view = EXCLUDED.view
),
stopped AS (
    INSERT INTO read.parked (projection, generation, service, partition, stream_id, "offset", reason)
    SELECT moved.projection, moved.generation, moved.service, moved.partition, s.stream_id, s."offset", s.reason
    FROM moved, unnest($20::text[], $21::bigint[], $22::text[]) AS s (stream_id, "offset", reason)
    ON CONFLICT (projection, generation, service, stream_id) DO NOTHING
)
SELECT FROM moved
