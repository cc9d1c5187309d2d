-- The log of one service. Runs with the service's schema as search_path. Every table but the last three is
-- insert-only; the partitions themselves are made by `partition.sql`, for their number is chosen at birth.

-- What this log is; one row.
CREATE TABLE log (
    service text COLLATE "C" PRIMARY KEY,
    log_id uuid NOT NULL,
    partitions int NOT NULL CHECK (partitions BETWEEN 1 AND 1024),
    born_at timestamptz NOT NULL
);

-- One group commit. (partition, page) is the fence: one writer can follow a page, no two.
CREATE TABLE page (
    partition int NOT NULL,
    page bigint NOT NULL,
    epoch int NOT NULL,
    first_offset bigint NOT NULL,
    count int NOT NULL,
    message_offset bigint NOT NULL,
    writer text COLLATE "C" NOT NULL,
    -- Filled from the page before by a subquery: NULL, and so refused, unless that page stands as this one saw it.
    previous bytea NOT NULL,
    digest bytea NOT NULL,
    recorded_at timestamptz NOT NULL,
    -- Of an opening page that begins an epoch: why.
    reason text,
    PRIMARY KEY (partition, page)
) PARTITION BY LIST (partition);

CREATE TABLE event (
    partition int NOT NULL,
    "offset" bigint NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    type text COLLATE "C" NOT NULL,
    payload bytea NOT NULL,
    metadata bytea NOT NULL,
    recorded_at timestamptz NOT NULL,
    digest bytea NOT NULL,
    page bigint NOT NULL,
    PRIMARY KEY (partition, "offset"),
    UNIQUE (partition, stream_id, version)
) PARTITION BY LIST (partition);

-- The command ledger: the result of every command, for ever.
CREATE TABLE command (
    partition int NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    command_id uuid NOT NULL,
    page bigint NOT NULL,
    ordinal int NOT NULL,
    request_digest bytea NOT NULL,
    result bytea NOT NULL,
    -- A stream's commands sit together, instead of one random index page a command.
    PRIMARY KEY (partition, stream_id, command_id),
    UNIQUE (partition, page, ordinal)
) PARTITION BY LIST (partition);

-- The bytes as they came, one row a page; below each partition by range of pages, so that old ones can be detached.
CREATE TABLE request (
    partition int NOT NULL,
    page bigint NOT NULL,
    requests bytea NOT NULL,
    PRIMARY KEY (partition, page)
) PARTITION BY LIST (partition);
-- Compressing on the way in costs more than it saves on a row that is read only by audits.
ALTER TABLE request ALTER COLUMN requests SET STORAGE EXTERNAL;

-- Folded states of long streams. Used only while the event they name stands, and the fingerprint is the build's own.
CREATE TABLE snapshot (
    partition int NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    fingerprint bytea NOT NULL,
    event_digest bytea NOT NULL,
    state bytea NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (partition, stream_id, fingerprint, version)
) PARTITION BY LIST (partition);

-- Messages that could not be handled. No part of the log: they are settled by an operator or by a newer build.
CREATE TABLE parked (
    parked_id uuid PRIMARY KEY,
    partition int NOT NULL,
    message_offset bigint NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    command_id uuid NOT NULL,
    kind text NOT NULL,
    reason text NOT NULL,
    request bytea NOT NULL,
    parked_at timestamptz NOT NULL,
    settled_at timestamptz,
    settlement text
);
CREATE INDEX parked_open ON parked (partition, message_offset) WHERE settled_at IS NULL;
CREATE INDEX parked_command ON parked (command_id);

-- Messages that will never be handled; they stand in <service>.messages.rejected too.
CREATE TABLE rejected (
    rejected_id uuid PRIMARY KEY,
    partition int NOT NULL,
    message_offset bigint NOT NULL,
    command_id uuid,
    reason text NOT NULL,
    rejected_at timestamptz NOT NULL
);
CREATE INDEX rejected_command ON rejected (command_id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is insert-only: % of %.% is refused', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'DB001';
END
$$;

-- For a parent, and for each partition too: naming a child passes the parent's triggers by.
CREATE FUNCTION protect(target regclass) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', target);
END
$$;

SELECT protect(t::regclass) FROM unnest(ARRAY['log', 'page', 'event', 'command', 'request', 'snapshot']) AS t;

-- Makes sure that the range of `request` that holds `at_page` is there, and the one after it. Lanes call it; it runs as
-- the owner, for a writer may not create tables.
CREATE FUNCTION extend_requests(at_partition int, at_page bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    width CONSTANT bigint := 250000;
    start bigint;
    name text;
BEGIN
    FOREACH start IN ARRAY ARRAY[at_page / width * width, (at_page / width + 1) * width] LOOP
        name := format('request_%s_%s', at_partition, start);
        IF to_regclass(name) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%s) TO (%s) WITH (autovacuum_freeze_min_age = 0)', name, 'request_' || at_partition, start, start + width);
            PERFORM protect(name::regclass);
        END IF;
    END LOOP;
END
$$;

DO $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO daybook_writer, daybook_reader, daybook_projector', current_schema);
END
$$;
GRANT SELECT ON log, page, event, command, request, snapshot, parked, rejected TO daybook_writer, daybook_reader, daybook_projector;
GRANT INSERT ON page, event, command, request, snapshot, parked, rejected TO daybook_writer;
GRANT UPDATE (settled_at, settlement, kind, reason) ON parked TO daybook_writer;
REVOKE ALL ON FUNCTION extend_requests(int, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION extend_requests(int, bigint) TO daybook_writer;
