-- Takes a reactor's partition over: a holder of a lower term writes nothing from now on.
UPDATE {schema}.reactor SET term = term + 1
WHERE name = $1 AND partition = $2
RETURNING next_offset, settled, epoch, term
