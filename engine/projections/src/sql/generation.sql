-- The tables of one generation of one read model; {parts} is their name. Pages have room: an update stays in its page.
-- Their indexes stand in index_parts.sql, index_views.sql and index_writers.sql: a rebuild fills the tables first.
CREATE TABLE read.{parts} (
    key text COLLATE "C" NOT NULL,
    part text COLLATE "C" NOT NULL,
    bytes bytea NOT NULL,
    service text COLLATE "C" NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    partition int NOT NULL,
    "offset" bigint NOT NULL,
    -- If it is its stream's only part, the stream's view stands here: the version that it is folded up to, and its bytes, null where
    -- they are the part's. One row a stream is half of the work of two.
    version bigint,
    view bytea
    -- Its row, where the read model is kept as SQL.
    /* definitions */
) WITH (fillfactor = 80);
-- The views of the other streams: of those with several parts, or none.
CREATE TABLE read.{parts}_view (
    service text COLLATE "C" NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    partition int NOT NULL,
    "offset" bigint NOT NULL,
    version bigint NOT NULL,
    view bytea NOT NULL
) WITH (fillfactor = 80);
-- The streams that have ever had a part under a key: a read model as it was is folded from them. Written at a part's
-- first appearance, never changed.
CREATE TABLE read.{parts}_writer (
    key text COLLATE "C" NOT NULL,
    service text COLLATE "C" NOT NULL,
    stream_id text COLLATE "C" NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON read.{parts}, read.{parts}_view TO daybook_projector;
GRANT SELECT, INSERT ON read.{parts}_writer TO daybook_projector;
-- Not the views: they hold what is shown nowhere.
GRANT SELECT (key, part, bytes, service, stream_id, partition, "offset") ON read.{parts} TO daybook_query;
GRANT SELECT ON read.{parts}, read.{parts}_view, read.{parts}_writer TO daybook_reader;
