-- The fate of a command that has no result: parked (not settled), or rejected.
SELECT 'parked' AS fate, p.kind, p.reason, p.parked_id FROM {schema}.parked p WHERE p.command_id = $1 AND p.settled_at IS NULL AND p.partition = {n}
UNION ALL
SELECT 'rejected', '', r.reason, NULL FROM {schema}.rejected r WHERE r.command_id = $1 AND r.partition = {n}
LIMIT 1
