-- For one batch of a lane: the newest usable snapshot of each stream ($1, fingerprints $2), the events after it, and those
-- of the batch's command ids ($3 stream, $4 id) that the ledger has. kind 0: snapshot, 1: event, 2: ledger row.
WITH start AS (
    SELECT w.stream_id, s.version, s.state, s.event_digest
    FROM unnest($1::text[], $2::bytea[]) AS w (stream_id, fingerprint)
    LEFT JOIN LATERAL (
        SELECT s.version, s.state, s.event_digest
        FROM {schema}.snapshot_{n} s
        JOIN {schema}.event_{n} e ON e.partition = {n} AND e.stream_id = s.stream_id AND e.version = s.version AND e.digest = s.event_digest
        WHERE s.partition = {n} AND s.stream_id = w.stream_id AND s.fingerprint = w.fingerprint
        ORDER BY s.version DESC
        LIMIT 1
    ) s ON true
)
SELECT 0 AS kind, start.stream_id, start.version, '' AS type, start.state AS payload, NULL::uuid AS command_id, start.event_digest AS digest
FROM start
WHERE start.version IS NOT NULL
UNION ALL
SELECT 1, e.stream_id, e.version, e.type, e.payload, NULL, e.digest
FROM start
JOIN LATERAL (
    SELECT e.stream_id, e.version, e.type, e.payload, e.digest
    FROM {schema}.event_{n} e
    WHERE e.partition = {n} AND e.stream_id = start.stream_id AND e.version > coalesce(start.version, 0)
    ORDER BY e.version
) e ON true
UNION ALL
SELECT 2, c.stream_id, NULL, '', c.result, c.command_id, NULL
FROM unnest($3::text[], $4::uuid[]) AS q (stream_id, command_id)
JOIN {schema}.command_{n} c ON c.partition = {n} AND c.stream_id = q.stream_id AND c.command_id = q.command_id
-- Says nothing, but the planner takes it that few rows come of it: each is looked up, however small the ledger was when this was planned.
WHERE q.stream_id = q.stream_id || ''
