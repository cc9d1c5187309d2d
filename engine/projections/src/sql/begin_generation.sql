-- A generation that a rebuild fills.
INSERT INTO read.generation (projection, generation, fingerprint, state, parts)
VALUES ($1, $2, $3, 'building', $4)
