-- The partition's holder ($3) says how it stands: that it works on the calls that are open, by this database's clock and once in ten
-- seconds at the most, unless it can't do them all ($5); and whether their destination is given a rest ($4), so that nobody waits for what
-- can't be begun. Answers the term that stands.
WITH said AS (
    UPDATE {schema}.reactor r
    SET rests_at_term = CASE WHEN $4 THEN r.term END, alive_at = CASE WHEN $5 THEN clock_timestamp() ELSE r.alive_at END
    WHERE r.name = $1 AND r.partition = $2 AND r.term = $3
        AND ($4 <> (r.rests_at_term IS NOT DISTINCT FROM r.term)
            OR ($5 AND (r.alive_at IS NULL OR r.alive_at < clock_timestamp() - interval '9 seconds')
                AND EXISTS (SELECT FROM {schema}.call WHERE name = $1 AND partition = $2 AND due_at <= now())))
)
SELECT term FROM {schema}.reactor WHERE name = $1 AND partition = $2
