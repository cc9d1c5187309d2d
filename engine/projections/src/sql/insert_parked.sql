-- Streams that a rebuild could not fold.
INSERT INTO read.parked (projection, generation, service, partition, stream_id, "offset", reason)
SELECT $1, $2, p.service, p.partition, p.stream_id, p."offset", p.reason
FROM unnest($3::text[], $4::int[], $5::text[], $6::bigint[], $7::text[]) AS p (service, partition, stream_id, "offset", reason)
