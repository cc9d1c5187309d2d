-- Gives a checkpoint up: a takeover by nobody, so what the holder may still have under way writes nothing any more. Only its holder ($5) may:
-- the term tells that alone, for an operator's tool may have moved the offset under it. A checkpoint that another transaction holds
-- is not waited for: a follower that stands by takes over all the same, a little later.
WITH held AS (
    SELECT FROM read.checkpoint
    WHERE projection = $1 AND generation = $2 AND service = $3 AND partition = $4
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE read.checkpoint c SET term = c.term + 1, given_up_at_term = c.term + 1
FROM held
WHERE c.projection = $1 AND c.generation = $2 AND c.service = $3 AND c.partition = $4 AND c.term = $5
