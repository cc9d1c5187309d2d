INSERT INTO {schema}.snapshot_{n} (partition, stream_id, version, fingerprint, event_digest, state, recorded_at)
VALUES ({n}, $1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING
