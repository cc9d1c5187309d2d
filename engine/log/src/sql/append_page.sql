-- Appends one page: its row, its events, its ledger rows, its requests. One statement, so one round trip and no
-- COMMIT to misread. Everything selects FROM page's RETURNING, so the fence is tried before all else. `previous` is NULL, and
-- the page refused, unless the page before stands with the digest and end offset that this page continues.
WITH page AS (
    INSERT INTO {schema}.page_{n} (partition, page, epoch, first_offset, count, message_offset, writer, previous, digest, recorded_at, reason)
    SELECT {n}, $1::bigint, $2::int, $3::bigint, $4::int, $5::bigint, $6::text,
        (SELECT before.digest FROM {schema}.page_{n} before
         WHERE before.partition = {n} AND before.page = $1 - 1 AND before.digest = $7::bytea AND before.first_offset + before.count = $3),
        $8::bytea, $9::timestamptz, $10::text
    RETURNING page, recorded_at
),
events AS (
    INSERT INTO {schema}.event_{n} (partition, "offset", stream_id, version, type, payload, metadata, recorded_at, digest, page)
    SELECT {n}, e."offset", e.stream_id, e.version, e.type, e.payload, e.metadata, page.recorded_at, e.digest, page.page
    FROM page, unnest($11::bigint[], $12::text[], $13::bigint[], $14::text[], $15::bytea[], $16::bytea[], $17::bytea[])
        AS e ("offset", stream_id, version, type, payload, metadata, digest)
),
commands AS (
    INSERT INTO {schema}.command_{n} (partition, stream_id, command_id, page, ordinal, request_digest, result)
    SELECT {n}, c.stream_id, c.command_id, page.page, c.ordinal - 1, c.request_digest, c.result
    FROM page, unnest($18::text[], $19::uuid[], $20::bytea[], $21::bytea[]) WITH ORDINALITY
        AS c (stream_id, command_id, request_digest, result, ordinal)
)
INSERT INTO {schema}.request_{n} (partition, page, requests)
SELECT {n}, page.page, $22::bytea FROM page WHERE $22::bytea IS NOT NULL
