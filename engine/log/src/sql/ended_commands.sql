-- Those of some commands ($2, addressed to the streams $1) that have a result.
SELECT w.command_id
FROM unnest($1::text[], $2::uuid[]) AS w (stream_id, command_id)
WHERE EXISTS (SELECT FROM {schema}.command_{n} c WHERE c.partition = {n} AND c.stream_id = w.stream_id AND c.command_id = w.command_id)
