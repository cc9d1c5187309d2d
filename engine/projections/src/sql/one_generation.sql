-- One generation of a read model that has tables, in whatever state it is.
SELECT generation, parts
FROM read.generation
WHERE projection = $1 AND generation = $2 AND state <> 'retired'
