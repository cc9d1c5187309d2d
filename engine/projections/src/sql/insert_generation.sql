-- A generation of a read model that has none which is served: this one is, at once.
INSERT INTO read.generation (projection, generation, fingerprint, state, parts)
VALUES ($1, $2, $3, 'live', $4)
