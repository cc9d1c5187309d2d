-- All that the read schema keeps of a generation beside its own tables.
WITH checkpoints AS (DELETE FROM read.checkpoint WHERE projection = $1 AND generation = $2),
removals AS (DELETE FROM read.removed WHERE projection = $1 AND generation = $2)
DELETE FROM read.parked WHERE projection = $1 AND generation = $2
