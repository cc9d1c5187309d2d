-- The read schema: everything in it can be rebuilt from the logs, so it may be updated in place. The tables of
-- each projection and generation are made when the generation begins (projectors/src/sql/generation.sql).

-- Which builds of a projection there are, and which one is served.
CREATE TABLE generation (
    projection text COLLATE "C" NOT NULL,
    generation int NOT NULL,
    -- Of the folds that write it. Another build's folds must not go on where these stopped.
    fingerprint bytea NOT NULL,
    -- building: a rebuild fills it, and nobody else writes to it. ready: filled, kept up, not served yet. live: served.
    -- kept: was live, and is kept up, so that switching back is one step. retired: its tables are gone.
    state text NOT NULL CHECK (state IN ('building', 'ready', 'live', 'kept', 'retired')),
    -- The table of its parts, in this schema; that of its views has _view behind it.
    parts text COLLATE "C" NOT NULL CHECK (parts ~ '^[a-z][a-z0-9_]*$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, generation)
);
CREATE UNIQUE INDEX generation_live ON generation (projection) WHERE state = 'live';

-- How far a projection has folded a log partition; moved in the same statement as the parts that it covers. The rows
-- are made with their generation, one a log partition that it reads: what has no row does not exist.
CREATE TABLE checkpoint (
    projection text COLLATE "C" NOT NULL,
    generation int NOT NULL,
    service text COLLATE "C" NOT NULL,
    partition int NOT NULL,
    -- Everything before it is folded, or waits behind a parked event.
    next_offset bigint NOT NULL,
    -- Of the log, as far as it has been folded.
    epoch int NOT NULL,
    -- Everything before it has been pushed on read.<projection>, and Kafka has acknowledged that.
    pushed bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (projection, generation, service, partition)
) WITH (fillfactor = 50);

-- Parts that were removed and whose removal may not have been pushed yet: who takes a partition over pushes it again.
-- So does it with the parts of a stream that was unparked, which no new event has touched: they are noted at the last
-- offset, and checkpoint.pushed goes back to it. Rows go as checkpoint.pushed passes them.
CREATE TABLE removed (
    projection text COLLATE "C" NOT NULL,
    generation int NOT NULL,
    service text COLLATE "C" NOT NULL,
    partition int NOT NULL,
    -- Of the event that removed it, or the last one that was folded when its stream was unparked.
    "offset" bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    part text COLLATE "C" NOT NULL,
    stream_id text COLLATE "C" NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX removed_place ON removed (projection, generation, service, partition, "offset");

-- Streams that hold an event which could not be folded; later events of the stream wait behind it.
CREATE TABLE parked (
    projection text COLLATE "C" NOT NULL,
    generation int NOT NULL,
    service text COLLATE "C" NOT NULL,
    partition int NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    -- Of the event that could not be folded.
    "offset" bigint NOT NULL,
    reason text NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now(),
    -- What an operator asks of the projector that owns the partition: fold the stream again, or do without that event.
    asked text CHECK (asked IN ('retry', 'skip')),
    -- How often it was folded again in vain.
    attempts int NOT NULL DEFAULT 0,
    PRIMARY KEY (projection, generation, service, stream_id)
);

-- Events that an operator decided to do without: every fold of the projection passes them over, a rebuild's too.
CREATE TABLE skipped (
    projection text COLLATE "C" NOT NULL,
    service text COLLATE "C" NOT NULL,
    partition int NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    "offset" bigint NOT NULL,
    reason text NOT NULL,
    skipped_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, service, stream_id, "offset")
);

GRANT USAGE ON SCHEMA read TO daybook_projector, daybook_query, daybook_reader;
GRANT SELECT ON generation, checkpoint, parked, skipped TO daybook_projector, daybook_query, daybook_reader;
GRANT UPDATE ON checkpoint TO daybook_projector;
GRANT INSERT, UPDATE, DELETE ON parked TO daybook_projector;
GRANT SELECT, INSERT, DELETE ON removed TO daybook_projector;
GRANT INSERT ON skipped TO daybook_projector;
