-- Those of some commands whose message was parked or rejected.
SELECT w.command_id
FROM unnest($1::uuid[]) AS w (command_id)
WHERE EXISTS (SELECT FROM {schema}.parked p WHERE p.command_id = w.command_id AND p.partition = {n})
   OR EXISTS (SELECT FROM {schema}.rejected r WHERE r.command_id = w.command_id AND r.partition = {n})
