-- How far a generation has been folded.
SELECT service, partition, next_offset, epoch FROM read.checkpoint WHERE projection = $1 AND generation = $2
