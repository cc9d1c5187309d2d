-- Everything before it has come to an end, as far as this rule is concerned: no call of it is open, and no stream waits for it. A row of a call
-- goes once the ledger has its outcome. Calls that wait for their time are no consequence that anybody was told of.
SELECT least(settled, (
    SELECT min(c."offset") FROM {schema}.call c WHERE c.name = $1 AND c.partition = $2 AND c.due_at = 'epoch'
), (
    SELECT min(p."offset") FROM {schema}.reactor_parked p WHERE p.name = $1 AND p.partition = $2
))
FROM {schema}.reactor
WHERE name = $1 AND partition = $2
