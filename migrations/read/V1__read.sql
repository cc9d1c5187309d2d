-- The read schema: everything in it can be rebuilt from the logs, so it may be updated in place. The tables of
-- each projection and generation are made when the generation begins (projectors/src/sql/generation.sql).

-- Which builds of a projection there are, and which one is served.
CREATE TABLE generation (
    projection text COLLATE "C" NOT NULL,
    generation int NOT NULL,
    -- Of the folds that write it. Another build's folds must not go on where these stopped.
    fingerprint bytea NOT NULL,
    state text NOT NULL CHECK (state IN ('live', 'building', 'retired')),
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
    PRIMARY KEY (projection, generation, service, partition)
) WITH (fillfactor = 50);

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
    PRIMARY KEY (projection, generation, service, stream_id)
);

GRANT USAGE ON SCHEMA read TO daybook_projector, daybook_query, daybook_reader;
GRANT SELECT ON generation, checkpoint, parked TO daybook_projector, daybook_query, daybook_reader;
GRANT UPDATE ON checkpoint TO daybook_projector;
GRANT INSERT, UPDATE, DELETE ON parked TO daybook_projector;
