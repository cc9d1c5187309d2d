-- The start of the first epoch after $1; none when the log is in that one, which its last page tells without a look at the others (epochs
-- only grow). Else it reads the pages before: asked so after a restore only.
SELECT first_offset
FROM {schema}.page_{n}
WHERE partition = {n} AND epoch > $1
  AND (SELECT p.epoch FROM {schema}.page_{n} p WHERE p.partition = {n} ORDER BY p.page DESC LIMIT 1) > $1
ORDER BY page
LIMIT 1
