-- The holder of the lock.
SELECT a.application_name, a.pid, coalesce(a.client_addr::text, 'this machine'), a.backend_start
FROM pg_locks l
JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = $1::int::bigint::oid AND l.objid = ($2::int::bigint & 4294967295)::oid AND l.objsubid = 2
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
