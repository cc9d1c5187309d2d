-- Which generation of a read model is live, and the table of its parts.
SELECT generation, parts FROM read.generation WHERE projection = $1 AND state = 'live'
