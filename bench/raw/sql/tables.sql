-- The four tables of a log, with their columns and indexes; no triggers, roles or snapshots.
CREATE TABLE page (
    partition int NOT NULL, page bigint NOT NULL, epoch int NOT NULL, first_offset bigint NOT NULL, count int NOT NULL,
    message_offset bigint NOT NULL, writer text COLLATE "C" NOT NULL, previous bytea NOT NULL, digest bytea NOT NULL,
    recorded_at timestamptz NOT NULL, reason text,
    PRIMARY KEY (partition, page)
) PARTITION BY LIST (partition);
CREATE TABLE event (
    partition int NOT NULL, "offset" bigint NOT NULL, stream_id text COLLATE "C" NOT NULL, version bigint NOT NULL,
    type text COLLATE "C" NOT NULL, payload bytea NOT NULL, metadata bytea NOT NULL, recorded_at timestamptz NOT NULL,
    digest bytea NOT NULL, page bigint NOT NULL,
    PRIMARY KEY (partition, "offset"),
    UNIQUE (partition, stream_id, version)
) PARTITION BY LIST (partition);
CREATE TABLE command (
    partition int NOT NULL, stream_id text COLLATE "C" NOT NULL, command_id uuid NOT NULL, page bigint NOT NULL, ordinal int NOT NULL,
    request_digest bytea NOT NULL, result bytea NOT NULL,
    PRIMARY KEY (partition, stream_id, command_id),
    UNIQUE (partition, page, ordinal)
) PARTITION BY LIST (partition);
CREATE TABLE request (
    partition int NOT NULL, page bigint NOT NULL, requests bytea NOT NULL,
    PRIMARY KEY (partition, page)
) PARTITION BY LIST (partition);
ALTER TABLE request ALTER COLUMN requests SET STORAGE EXTERNAL;
