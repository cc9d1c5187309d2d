-- For the rest of this transaction: look-ups again, after everything was read (read_whole.sql).
SELECT set_config('enable_seqscan', 'off', true)
