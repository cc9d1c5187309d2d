-- Events that every fold of a projection passes over.
SELECT service, partition, "offset"
FROM read.skipped
WHERE projection = $1
