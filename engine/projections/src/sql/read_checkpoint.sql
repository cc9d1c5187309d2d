SELECT next_offset, epoch, pushed, term, given_up_at_term = term AS given_up
FROM read.checkpoint
WHERE projection = $1 AND generation = $2 AND service = $3 AND partition = $4
