-- How far these generations of read models have been folded, in any order.
SELECT w.ordinal - 1, c.service, c.partition, c.next_offset, c.epoch
FROM unnest($1::text[], $2::int[]) WITH ORDINALITY AS w (projection, generation, ordinal)
JOIN read.checkpoint c USING (projection, generation)
