SELECT generation, service, partition, next_offset
FROM read.checkpoint
WHERE projection = $1 AND generation IN ($2, $3)
