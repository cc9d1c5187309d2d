-- The report of `generations` on one: how many parts (as the planner last knew; -1 where it does not), how many streams are parked.
SELECT
    coalesce((SELECT c.reltuples::bigint FROM pg_class c WHERE c.oid = to_regclass('read.' || $3)), -1),
    (SELECT count(*) FROM read.parked WHERE projection = $1 AND generation = $2)
