-- The result of one command.
SELECT result FROM {schema}.command_{n} WHERE partition = {n} AND stream_id = $1 AND command_id = $2
