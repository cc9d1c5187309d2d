-- The checkpoints of two generations, which don't move until this transaction ends.
SELECT generation, service, partition, next_offset, epoch
FROM read.checkpoint
WHERE projection = $1 AND generation = ANY ($2::int[])
ORDER BY generation, service, partition
FOR UPDATE
