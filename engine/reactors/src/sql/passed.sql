-- How far some rules have come in each partition: everything before it has come to an end. A call that is open and has not failed often
-- is none. Of calls that wait for their time, of those that keep failing, and of those that can't be begun, for the holder of the term that
-- stands has said that their destination is given a rest, nothing is expected.
SELECT r.partition, min(least(r.settled, (
    SELECT c."offset"
    FROM {schema}.call c
    WHERE c.name = r.name AND c.partition = r.partition AND c.due_at = 'epoch' AND c.tries < $2
        AND (c.type IS NOT NULL OR r.rests_at_term IS DISTINCT FROM r.term)
    ORDER BY c."offset"
    LIMIT 1
)))
FROM {schema}.reactor r
WHERE r.name = ANY ($1)
GROUP BY r.partition
