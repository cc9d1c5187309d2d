-- A holder that owes calls may stand still for long: it waits for good news, or for somebody outside.
ALTER TABLE reactor
    -- When it has said last that it works on them, by this database's clock. Whoever stands by does not replace it then.
    ADD COLUMN alive_at timestamptz,
    -- The term of the holder that has said that their destination is given a rest: nobody waits for calls that can't be begun. Of an older
    -- term it says nothing.
    ADD COLUMN rests_at_term bigint;

GRANT UPDATE (alive_at, rests_at_term) ON reactor TO daybook_writer;
