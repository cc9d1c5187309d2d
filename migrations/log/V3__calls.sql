-- Calls that events ask for: pages to be read, the outside to be spoken to, or only time to pass. A row stands from the event's batch until
-- the outcome is in the ledger. No part of the log, as the marks of reactors are none: a restore takes them along with the events that
-- asked for them.
CREATE TABLE call (
    -- The rule that asks: its marks stand in `reactor` under the same name.
    name text COLLATE "C" NOT NULL,
    -- The place of the event.
    partition int NOT NULL,
    "offset" bigint NOT NULL,
    -- The stream that hears the outcome, and the service that it is of.
    service text COLLATE "C" NOT NULL,
    target text COLLATE "C" NOT NULL,
    -- The id of the command that brings it.
    outcome_id uuid NOT NULL,
    -- Nothing is done before. Only deadlines wait.
    due_at timestamptz NOT NULL DEFAULT 'epoch',
    -- Of a deadline: its name, and the stream whose event armed it, so that a later event of that stream finds and disarms it.
    deadline text COLLATE "C",
    source text COLLATE "C",
    -- An operator's note: this deadline is due now.
    hastened_at timestamptz,
    -- The outcome, once there is one: it is sent as it stands here, however often. A deadline's is known from the start.
    type text,
    command bytea,
    -- How often a call to the outside was begun, and until when the last one may be under way, by this database's clock.
    calls int NOT NULL DEFAULT 0,
    called_until timestamptz,
    -- Attempts that have failed, and the reason of the last.
    tries int NOT NULL DEFAULT 0,
    failure text,
    -- In the order in which a holder does them.
    PRIMARY KEY (name, partition, due_at, "offset", outcome_id),
    CHECK ((deadline IS NULL) = (source IS NULL))
) WITH (fillfactor = 50);

CREATE INDEX call_deadline ON call (name, partition, source, deadline, "offset") WHERE deadline IS NOT NULL;
CREATE INDEX call_hastened ON call (name, partition) WHERE hastened_at IS NOT NULL;

GRANT SELECT ON call TO daybook_writer, daybook_reader;
GRANT INSERT, DELETE, UPDATE (hastened_at, type, command, calls, called_until, tries, failure) ON call TO daybook_writer;
