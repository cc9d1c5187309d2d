-- The generation of a read model that is served, with its table, and how far it has folded a partition of a service, and in which epoch;
-- nothing there where it does not read that service.
SELECT g.parts, c.next_offset, c.epoch
FROM read.generation g
LEFT JOIN read.checkpoint c
    ON c.projection = g.projection AND c.generation = g.generation AND c.service = $2 AND c.partition = $3
WHERE g.projection = $1 AND g.state = 'live'
