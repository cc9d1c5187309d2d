-- Ledger rows of a range of pages, both ends inclusive, in order.
SELECT page, ordinal, stream_id, command_id, request_digest, result
FROM {schema}.command_{n}
WHERE partition = {n} AND page BETWEEN $1 AND $2
ORDER BY page, ordinal
