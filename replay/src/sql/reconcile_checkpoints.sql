-- Where the read models that are kept up stand in a service's log ($1).
SELECT c.projection, c.generation, g.state, c.partition, c.next_offset, c.epoch
FROM read.checkpoint c
JOIN read.generation g ON g.projection = c.projection AND g.generation = c.generation
WHERE c.service = $1 AND g.state IN ('building', 'ready', 'live', 'kept')
ORDER BY c.projection, c.generation, c.partition
