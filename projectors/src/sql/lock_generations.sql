-- Held by whoever makes or drops generations of a read model; it ends with its session.
SELECT pg_try_advisory_lock($1, $2)
