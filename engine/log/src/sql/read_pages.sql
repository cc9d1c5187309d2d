-- Pages from a number on, in order.
SELECT page, epoch, first_offset, count, message_offset, writer, previous, digest, recorded_at
FROM {schema}.page_{n}
WHERE partition = {n} AND page >= $1
ORDER BY page
LIMIT $2
