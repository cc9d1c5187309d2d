-- The generations of a read model that projectors keep up, and whose folds each is of.
SELECT generation, parts, fingerprint, state = 'live' AS live
FROM read.generation
WHERE projection = $1 AND state IN ('ready', 'live', 'kept')
ORDER BY generation
