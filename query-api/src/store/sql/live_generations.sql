-- The generation of each read model that is served, and the table of its parts.
SELECT projection, generation, parts
FROM read.generation
WHERE state = 'live'
