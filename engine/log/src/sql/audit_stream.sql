-- The events of one stream, in order, whatever page they name.
SELECT "offset", stream_id, version, type, payload, metadata, recorded_at, digest, page
FROM {schema}.event_{n}
WHERE partition = {n} AND stream_id = $1
ORDER BY version
