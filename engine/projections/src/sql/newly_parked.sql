-- Streams that are parked in one generation ($2) and not in another ($3).
SELECT n.service, n.stream_id
FROM read.parked n
WHERE n.projection = $1 AND n.generation = $2
  AND NOT EXISTS (SELECT FROM read.parked o WHERE o.projection = $1 AND o.generation = $3 AND o.service = n.service AND o.stream_id = n.stream_id)
ORDER BY n.service, n.stream_id
