-- For this transaction: everything is read, in the order in which it lies there, for as long as it takes.
SELECT set_config('enable_seqscan', 'on', true), set_config('statement_timeout', '0', true),
       set_config('idle_in_transaction_session_timeout', '0', true)
