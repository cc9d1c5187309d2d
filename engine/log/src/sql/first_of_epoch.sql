-- Where the first epoch after $1 begins; none when the log is in that one. It reads the pages before it: asked for after a restore only.
SELECT first_offset
FROM {schema}.page_{n}
WHERE partition = {n} AND epoch > $1
ORDER BY page
LIMIT 1
