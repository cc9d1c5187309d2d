-- Held by a process that fills a generation of a read model, or clears away one that was not finished; it ends with its session.
SELECT pg_try_advisory_lock($1, $2)
