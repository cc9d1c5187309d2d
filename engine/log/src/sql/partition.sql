-- One partition of every table. {n} is its number; runs with the service's schema as search_path.
CREATE TABLE page_{n} PARTITION OF page FOR VALUES IN ({n}) WITH (autovacuum_freeze_min_age = 0);
CREATE TABLE event_{n} PARTITION OF event FOR VALUES IN ({n}) WITH (autovacuum_freeze_min_age = 0);
CREATE TABLE command_{n} PARTITION OF command FOR VALUES IN ({n}) WITH (autovacuum_freeze_min_age = 0);
CREATE TABLE request_{n} PARTITION OF request FOR VALUES IN ({n}) PARTITION BY RANGE (page);
CREATE TABLE snapshot_{n} PARTITION OF snapshot FOR VALUES IN ({n}) WITH (autovacuum_freeze_min_age = 0);
SELECT protect(t::regclass) FROM unnest(ARRAY['page_{n}', 'event_{n}', 'command_{n}', 'request_{n}', 'snapshot_{n}']) AS t;
SELECT extend_requests({n}, 0);
-- Lanes and replay name the partition's own table; a grant on the parent does not reach it.
GRANT SELECT ON page_{n}, event_{n}, command_{n}, request_{n}, snapshot_{n} TO daybook_writer, daybook_reader, daybook_projector;
GRANT INSERT ON page_{n}, event_{n}, command_{n}, request_{n}, snapshot_{n} TO daybook_writer;
