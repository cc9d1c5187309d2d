-- How far some rules have come in each partition: everything before it has come to an end. A call that is open and has not failed often
-- is none. Of calls that wait for their time, and of those that keep failing, nothing is expected.
SELECT r.partition, min(least(r.settled, (
    SELECT c."offset"
    FROM {schema}.call c
    WHERE c.name = r.name AND c.partition = r.partition AND c.due_at = 'epoch' AND c.tries < $2
    ORDER BY c."offset"
    LIMIT 1
)))
FROM {schema}.reactor r
WHERE r.name = ANY ($1)
GROUP BY r.partition
