-- The messages parked in this partition and not settled, in the order of arrival.
SELECT parked_id, partition, message_offset, stream_id, command_id, kind, reason, request, parked_at
FROM {schema}.parked
WHERE partition = {n} AND settled_at IS NULL
ORDER BY message_offset, parked_at
