-- The place of a rule in a partition, whether it was given up, whether calls of it are open that should be done by now, and when its
-- holder has said that it works on them.
SELECT next_offset, settled, epoch, term, coalesce(given_up_at_term = term, false),
    EXISTS (SELECT FROM {schema}.call WHERE name = $1 AND partition = $2 AND due_at <= now()), alive_at
FROM {schema}.reactor
WHERE name = $1 AND partition = $2
