-- Rows behind a page ($1) and its end ($2) that belong to no page; an event may name a page that is there and ends before it.
-- Asked in one statement, for a page that is appended meanwhile comes with its rows. At most $3 of each kind: 'event' with its
-- offset, 'command' and 'request' with their page.
(SELECT 'event' AS kind, e."offset" AS place, e.page
 FROM {schema}.event_{n} e
 WHERE e.partition = {n} AND e."offset" >= $2
   AND NOT EXISTS (SELECT FROM {schema}.page_{n} p WHERE p.partition = {n} AND p.page = e.page AND e."offset" < p.first_offset + p.count)
 ORDER BY e."offset"
 LIMIT $3)
UNION ALL
(SELECT 'command', c.page, c.page
 FROM {schema}.command_{n} c
 WHERE c.partition = {n} AND c.page > $1
   AND NOT EXISTS (SELECT FROM {schema}.page_{n} p WHERE p.partition = {n} AND p.page = c.page)
 ORDER BY c.page, c.ordinal
 LIMIT $3)
UNION ALL
(SELECT 'request', r.page, r.page
 FROM {schema}.request_{n} r
 WHERE r.partition = {n} AND r.page > $1
   AND NOT EXISTS (SELECT FROM {schema}.page_{n} p WHERE p.partition = {n} AND p.page = r.page)
 ORDER BY r.page
 LIMIT $3)
