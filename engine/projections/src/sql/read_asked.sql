-- The parked streams of one log partition that an operator asks something of, and those of $5: no more than $6.
SELECT stream_id, "offset", asked
FROM read.parked
WHERE projection = $1 AND generation = $2 AND service = $3 AND partition = $4 AND (asked IS NOT NULL OR stream_id = ANY ($5::text[]))
ORDER BY parked_at
LIMIT $6
