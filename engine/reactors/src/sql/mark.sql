-- Where a reactor stands in a partition.
SELECT next_offset, settled, epoch, term
FROM {schema}.reactor
WHERE name = $1 AND partition = $2
