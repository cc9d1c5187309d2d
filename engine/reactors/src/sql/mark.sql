-- The place of a reactor in a partition.
SELECT next_offset, settled, epoch, term, coalesce(given_up_at_term = term, false)
FROM {schema}.reactor
WHERE name = $1 AND partition = $2
