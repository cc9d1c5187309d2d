-- The report of `generations` on one: how many parts (as the planner last knew; -1 where it does not), how many streams are parked.
SELECT
    coalesce((
        -- A table without a page is empty; the planner is not told so (analyze_filled.sql).
        SELECT CASE WHEN c.reltuples < 0 AND pg_relation_size(c.oid) = 0 THEN 0 ELSE c.reltuples::bigint END
        FROM pg_class c
        WHERE c.oid = to_regclass('read.' || $3)
    ), -1),
    (SELECT count(*) FROM read.parked WHERE projection = $1 AND generation = $2)
