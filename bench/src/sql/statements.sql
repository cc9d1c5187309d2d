-- The cost of each kind of statement since pg_stat_statements was reset, in this database.
SELECT
    CASE
        WHEN query LIKE '%INSERT INTO %.page\_%' THEN 'append a page'
        WHEN query LIKE '%FROM %.snapshot\_%' AND query LIKE '%.command\_%' THEN 'load a batch'
        WHEN query LIKE '%checkpoint%' THEN 'read models'
        ELSE 'everything else'
    END AS kind,
    sum(calls)::bigint AS calls,
    sum(total_exec_time) / sum(calls) AS mean_ms,
    sum(wal_bytes)::bigint AS wal_bytes
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
GROUP BY kind
ORDER BY sum(total_exec_time) DESC
