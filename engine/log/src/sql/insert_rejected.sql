INSERT INTO {schema}.rejected (rejected_id, partition, message_offset, command_id, reason, rejected_at)
VALUES ($1, {n}, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
