-- Parts of a generation behind this place, in order.
SELECT key, part, bytes
FROM read.{parts}
WHERE (key, part) > ($1, $2)
ORDER BY key, part
LIMIT $3
