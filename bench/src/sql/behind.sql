-- Number of checkpoints of live read models that stand behind the log of `inventory`; $1: the read models.
SELECT count(*)
FROM read.checkpoint c
JOIN read.generation g ON g.projection = c.projection AND g.generation = c.generation AND g.state = 'live'
WHERE c.service = 'inventory' AND c.projection = ANY ($1::text[])
    AND c.next_offset < coalesce((SELECT max(e."offset") + 1 FROM inventory.event e WHERE e.partition = c.partition), 0)
