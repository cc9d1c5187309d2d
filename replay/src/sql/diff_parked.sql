-- Streams that are parked in one of two generations only; true: in the new one ($3).
SELECT p.service, p.stream_id, p.generation = $3
FROM read.parked p
WHERE p.projection = $1 AND p.generation IN ($2, $3)
  AND NOT EXISTS (
      SELECT FROM read.parked q
      WHERE q.projection = $1 AND q.generation IN ($2, $3) AND q.generation <> p.generation AND q.service = p.service AND q.stream_id = p.stream_id
  )
ORDER BY p.service, p.stream_id
