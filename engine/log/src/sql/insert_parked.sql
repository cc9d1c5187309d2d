INSERT INTO {schema}.parked (parked_id, partition, message_offset, stream_id, command_id, kind, reason, request, parked_at)
VALUES ($1, {n}, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING
