-- Every snapshot; those of one stream and fingerprint in the order of their versions.
SELECT stream_id, version, fingerprint, event_digest, state
FROM {schema}.snapshot_{n}
WHERE partition = {n}
ORDER BY stream_id, fingerprint, version
