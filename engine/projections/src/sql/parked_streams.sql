-- Every stream that is parked, the longest parked first; of one projection ($1), stream ($2) and generation ($3) where they
-- are given.
SELECT projection, generation, service, partition, stream_id, "offset", reason, parked_at, asked, attempts
FROM read.parked
WHERE ($1::text IS NULL OR projection = $1) AND ($2::text IS NULL OR stream_id = $2) AND ($3::int IS NULL OR generation = $3)
ORDER BY parked_at, projection, generation, service, stream_id
