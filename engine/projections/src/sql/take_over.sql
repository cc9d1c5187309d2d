-- Takes a checkpoint over: the former holder has a lower term, and writes nothing any more.
UPDATE read.checkpoint SET term = term + 1
WHERE projection = $1 AND generation = $2 AND service = $3 AND partition = $4
RETURNING next_offset, epoch, pushed, term, given_up_at_term = term AS given_up
