-- Nobody has been served from this generation yet: there is nothing to push.
WITH removals AS (DELETE FROM read.removed WHERE projection = $1 AND generation = $2)
UPDATE read.checkpoint SET pushed = next_offset
WHERE projection = $1 AND generation = $2
