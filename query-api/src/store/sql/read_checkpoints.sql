-- How far these generations of read models have been folded, in any order; and whether any stream of the generation is parked.
SELECT w.ordinal - 1, c.service, c.partition, c.next_offset, c.epoch, s.parked IS NOT NULL
FROM unnest($1::text[], $2::int[]) WITH ORDINALITY AS w (projection, generation, ordinal)
JOIN read.checkpoint c USING (projection, generation)
LEFT JOIN LATERAL (
    SELECT true AS parked FROM read.parked k WHERE k.projection = w.projection AND k.generation = w.generation LIMIT 1
) s ON true
