SELECT service, partition, next_offset, epoch
FROM read.checkpoint
WHERE projection = $1 AND generation = $2
ORDER BY service, partition
