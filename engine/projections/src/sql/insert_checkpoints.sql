-- A generation's checkpoints, one a log partition that it reads, all at the log's beginning.
INSERT INTO read.checkpoint (projection, generation, service, partition, next_offset, epoch)
SELECT $1, $2, at.service, at.partition, 0, 1
FROM unnest($3::text[], $4::int[]) AS at (service, partition)
