-- Gives a reactor's partition up: a takeover by nobody, so what the holder may still have under way writes nothing any more. Only its
-- holder ($3) may.
UPDATE {schema}.reactor SET term = term + 1, given_up_at_term = term + 1
WHERE name = $1 AND partition = $2 AND term = $3
