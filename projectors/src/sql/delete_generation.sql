DELETE FROM read.generation
WHERE projection = $1 AND generation = $2
