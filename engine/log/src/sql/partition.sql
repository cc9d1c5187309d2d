-- One partition of every table. {n} is its number; runs with the service's schema as search_path.
CREATE TABLE page_{n} PARTITION OF page FOR VALUES IN ({n}) WITH (autovacuum_freeze_min_age = 0);
CREATE TABLE event_{n} PARTITION OF event FOR VALUES IN ({n}) WITH (autovacuum_freeze_min_age = 0);
CREATE TABLE command_{n} PARTITION OF command FOR VALUES IN ({n}) WITH (autovacuum_freeze_min_age = 0);
CREATE TABLE request_{n} PARTITION OF request FOR VALUES IN ({n}) PARTITION BY RANGE (page);
CREATE TABLE snapshot_{n} PARTITION OF snapshot FOR VALUES IN ({n}) WITH (autovacuum_freeze_min_age = 0);
-- Statistics that the planner needs from the first row on: the partition alone tells no row from another, a stream or a command does.
-- Without them an index that begins with the partition looks as good as any, and a lane that prepares its statements while the log is new
-- keeps a plan that reads the whole index. Statistics stay when rows are truncated.
INSERT INTO event_{n} (partition, "offset", stream_id, version, type, payload, metadata, recorded_at, digest, page)
SELECT {n}, i, 's/' || i, 1, 't', '', '', now(), '', i FROM generate_series(1, 1000) AS i;
INSERT INTO command_{n} (partition, stream_id, command_id, page, ordinal, request_digest, result)
SELECT {n}, 's/' || i, gen_random_uuid(), i, 0, '', '' FROM generate_series(1, 1000) AS i;
INSERT INTO snapshot_{n} (partition, stream_id, version, fingerprint, event_digest, state, recorded_at)
SELECT {n}, 's/' || i, 1, '', '', '', now() FROM generate_series(1, 1000) AS i;
ANALYZE event_{n};
ANALYZE command_{n};
ANALYZE snapshot_{n};
TRUNCATE event_{n}, command_{n}, snapshot_{n};
SELECT protect(t::regclass) FROM unnest(ARRAY['page_{n}', 'event_{n}', 'command_{n}', 'request_{n}', 'snapshot_{n}']) AS t;
SELECT extend_requests({n}, 0);
-- Lanes and replay name the partition's own table; a grant on the parent does not reach it.
GRANT SELECT ON page_{n}, event_{n}, command_{n}, request_{n}, snapshot_{n} TO daybook_writer, daybook_reader, daybook_projector;
GRANT INSERT ON page_{n}, event_{n}, command_{n}, request_{n}, snapshot_{n} TO daybook_writer;
