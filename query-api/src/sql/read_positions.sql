-- How far these partitions have been folded; what has no row does not exist.
SELECT w.ordinal - 1, c.next_offset, c.epoch
FROM unnest($1::text[], $2::int[], $3::text[], $4::int[]) WITH ORDINALITY AS w (projection, generation, service, partition, ordinal)
JOIN read.checkpoint c USING (projection, generation, service, partition)
