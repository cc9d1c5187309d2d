-- The first generation of a read model; it is served at once, for there is no other.
INSERT INTO read.generation (projection, generation, fingerprint, state, parts)
VALUES ($1, $2, $3, 'live', $4)
