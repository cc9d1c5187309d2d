-- Notes how far Kafka has acknowledged what was pushed ($6), where no batch comes that would do so; what was removed
-- before that needs no second telling. Fenced as a batch is: by where the checkpoint stands ($5) and its term ($7).
WITH moved AS (
    UPDATE read.checkpoint SET pushed = $6
    WHERE projection = $1 AND generation = $2 AND service = $3 AND partition = $4 AND next_offset = $5 AND term = $7
    RETURNING projection, generation, service, partition, pushed
),
trimmed AS (
    DELETE FROM read.removed t
    USING moved
    WHERE t.projection = moved.projection AND t.generation = moved.generation AND t.service = moved.service
        AND t.partition = moved.partition AND t."offset" < moved.pushed
)
SELECT FROM moved
