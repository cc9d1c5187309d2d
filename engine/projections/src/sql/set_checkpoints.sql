-- The places that a rebuild has come to. settle_pushed.sql says that there is nothing to push, once it is ready.
UPDATE read.checkpoint c SET next_offset = at.next_offset, epoch = at.epoch
FROM unnest($3::text[], $4::int[], $5::bigint[], $6::int[]) AS at (service, partition, next_offset, epoch)
WHERE c.projection = $1 AND c.generation = $2 AND c.service = at.service AND c.partition = at.partition
