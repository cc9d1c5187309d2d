-- The work of write_batch.sql with arrays, from tables that the batch was copied to in the same transaction.
WITH moved AS (
    UPDATE read.checkpoint SET next_offset = $6, epoch = $7
    WHERE projection = $1 AND generation = $2 AND service = $3 AND partition = $4 AND next_offset = $5
    RETURNING service, partition
),
written AS (
    INSERT INTO read.{parts} (key, part, bytes, service, stream_id, partition, "offset", version)
    SELECT w.key, w.part, w.bytes, moved.service, w.stream_id, moved.partition, w."offset", w.version
    FROM moved, copied_part w
    ON CONFLICT (key, part) DO UPDATE
    SET bytes = EXCLUDED.bytes, service = EXCLUDED.service, stream_id = EXCLUDED.stream_id, partition = EXCLUDED.partition,
        "offset" = EXCLUDED."offset", version = EXCLUDED.version, view = EXCLUDED.view
),
displaced AS (
    INSERT INTO read.{parts}_view (service, stream_id, partition, "offset", version, view)
    SELECT p.service, p.stream_id, p.partition, p."offset", p.version, coalesce(p.view, p.bytes)
    FROM moved, copied_part w
    JOIN read.{parts} p ON p.key = w.key AND p.part = w.part AND p.stream_id <> w.stream_id
    WHERE p.version IS NOT NULL
    ON CONFLICT (service, stream_id) DO NOTHING
),
in_parts AS (
    DELETE FROM read.{parts}_view v
    USING moved, copied_part n
    WHERE v.stream_id = n.stream_id AND v.service = moved.service
),
writers AS (
    INSERT INTO read.{parts}_writer (key, service, stream_id)
    SELECT n.key, moved.service, n.stream_id
    FROM moved, copied_writer n
    ON CONFLICT (key, service, stream_id) DO NOTHING
)
SELECT FROM moved
