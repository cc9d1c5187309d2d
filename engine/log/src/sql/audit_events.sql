-- Events of a range of offsets (the end exclusive), in order, whatever page they name: an audit trusts no join.
SELECT "offset", stream_id, version, type, payload, metadata, recorded_at, digest, page
FROM {schema}.event_{n}
WHERE partition = {n} AND "offset" >= $1 AND "offset" < $2
ORDER BY "offset"
