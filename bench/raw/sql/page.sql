-- A page, its events, its ledger and its requests: the rows that Daybook writes, in one statement. Its chain and its fence cost Daybook a
-- look at the page before; here nothing is looked at.
WITH page AS (
    INSERT INTO page_{n} (partition, page, epoch, first_offset, count, message_offset, writer, previous, digest, recorded_at)
    VALUES ({n}, $1::bigint, 1, $2::bigint, $3::int, $2::bigint, 'raw', $4::bytea, $4::bytea, now())
),
events AS (
    INSERT INTO event_{n} (partition, "offset", stream_id, version, type, payload, metadata, recorded_at, digest, page)
    SELECT {n}, e."offset", e.stream_id, e.version, e.type, e.payload, e.metadata, now(), e.digest, $1::bigint
    FROM unnest($5::bigint[], $6::text[], $7::bigint[], $8::text[], $9::bytea[], $10::bytea[], $11::bytea[])
        AS e ("offset", stream_id, version, type, payload, metadata, digest)
),
commands AS (
    INSERT INTO command_{n} (partition, stream_id, command_id, page, ordinal, request_digest, result)
    SELECT {n}, c.stream_id, c.command_id, $1::bigint, c.ordinal - 1, c.request_digest, c.result
    FROM unnest($6::text[], $12::uuid[], $13::bytea[], $14::bytea[]) WITH ORDINALITY AS c (stream_id, command_id, request_digest, result, ordinal)
)
INSERT INTO request_{n} (partition, page, requests) VALUES ({n}, $1::bigint, $15::bytea)
