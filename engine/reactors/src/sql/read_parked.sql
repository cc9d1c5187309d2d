-- The streams of a partition that are parked for a reactor, the longest parked first.
SELECT stream_id, version, "offset", reason, parked_at, asked
FROM {schema}.reactor_parked
WHERE name = $1 AND partition = $2
ORDER BY parked_at, stream_id
