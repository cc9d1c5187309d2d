-- The requests of a range of pages, both ends inclusive, in order.
SELECT page, requests
FROM {schema}.request_{n}
WHERE partition = {n} AND page BETWEEN $1 AND $2
ORDER BY page
