-- The generation of a read model that is served.
SELECT generation, fingerprint, parts
FROM read.generation
WHERE projection = $1 AND state = 'live'
