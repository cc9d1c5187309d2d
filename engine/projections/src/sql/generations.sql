-- Every generation that a read model has or had.
SELECT generation, fingerprint, state, parts, created_at
FROM read.generation
WHERE projection = $1
ORDER BY generation
