-- The tables of one generation of one read model; {parts} is their name. Columns that a batch rewrites stand in no
-- index, and pages have room: an update stays in its page, and touches no index.
CREATE TABLE read.{parts} (
    key text COLLATE "C" NOT NULL,
    part text COLLATE "C" NOT NULL,
    bytes bytea NOT NULL,
    service text COLLATE "C" NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    partition int NOT NULL,
    "offset" bigint NOT NULL,
    PRIMARY KEY (key, part)
) WITH (fillfactor = 80);
CREATE INDEX {parts}_stream ON read.{parts} (stream_id);
CREATE TABLE read.{parts}_view (
    service text COLLATE "C" NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    partition int NOT NULL,
    "offset" bigint NOT NULL,
    version bigint NOT NULL,
    -- Null: it is the bytes of the stream's only part.
    view bytea,
    PRIMARY KEY (service, stream_id)
) WITH (fillfactor = 80);
-- Which streams have ever had a part under a key: what a read model as it was is folded from. Written at a part's
-- first appearance, never changed.
CREATE TABLE read.{parts}_writer (
    key text COLLATE "C" NOT NULL,
    service text COLLATE "C" NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (key, service, stream_id)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON read.{parts}, read.{parts}_view TO daybook_projector;
GRANT SELECT, INSERT ON read.{parts}_writer TO daybook_projector;
GRANT SELECT ON read.{parts} TO daybook_query;
GRANT SELECT ON read.{parts}, read.{parts}_view, read.{parts}_writer TO daybook_reader;
