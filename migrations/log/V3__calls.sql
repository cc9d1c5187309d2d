-- Calls that events ask for: pages to be read, for now. A row stands from the event's batch until the outcome is in the ledger. No part of
-- the log, as the marks of reactors are none: a restore takes them along with the events that asked for them.
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
    -- The outcome, once there is one: it is sent as it stands here, however often.
    type text,
    command bytea,
    -- Attempts that have failed, and the reason of the last.
    tries int NOT NULL DEFAULT 0,
    failure text,
    PRIMARY KEY (name, partition, "offset", outcome_id)
) WITH (fillfactor = 50);

GRANT SELECT ON call TO daybook_writer, daybook_reader;
GRANT INSERT, DELETE, UPDATE (type, command, tries, failure) ON call TO daybook_writer;
