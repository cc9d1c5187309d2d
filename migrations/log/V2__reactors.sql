-- Where reactors stand in this log. No part of the log: these rows change. They stand beside it, so that a restore takes
-- them along with the events that they have reacted to.
CREATE TABLE reactor (
    name text COLLATE "C" NOT NULL,
    partition int NOT NULL,
    -- Behind the last event that was reacted to, and whose messages Kafka has acknowledged.
    next_offset bigint NOT NULL,
    -- Everything before it has come to an end: a result, or a parked or rejected message. Where Kafka has lost messages, they are sent
    -- again from here.
    settled bigint NOT NULL,
    -- Of the log, at `next_offset`.
    epoch int NOT NULL,
    -- Raised by each takeover: who holds a lower one writes nothing.
    term bigint NOT NULL DEFAULT 0,
    -- The term at which the last holder gave it up; of an older term it says nothing.
    given_up_at_term bigint,
    PRIMARY KEY (name, partition),
    CHECK (settled <= next_offset)
);

-- Streams that wait behind an event which a reactor could not react to.
CREATE TABLE reactor_parked (
    name text COLLATE "C" NOT NULL,
    partition int NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    -- Of the event: all later ones of the stream wait behind it.
    version bigint NOT NULL,
    "offset" bigint NOT NULL,
    reason text NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now(),
    -- What an operator asks for: `retry`, or `skip` to do without this event.
    asked text,
    PRIMARY KEY (name, partition, stream_id)
);

GRANT SELECT ON reactor, reactor_parked TO daybook_writer, daybook_reader;
GRANT UPDATE (next_offset, settled, epoch, term, given_up_at_term) ON reactor TO daybook_writer;
GRANT INSERT, UPDATE, DELETE ON reactor_parked TO daybook_writer;
