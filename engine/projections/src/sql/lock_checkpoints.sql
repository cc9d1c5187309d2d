-- The checkpoints of a generation, which don't move until this transaction ends.
SELECT service, partition, next_offset, epoch
FROM read.checkpoint
WHERE projection = $1 AND generation = $2
ORDER BY service, partition
FOR UPDATE
