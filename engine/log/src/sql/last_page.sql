SELECT page, epoch, first_offset, count, message_offset, writer, previous, digest, recorded_at
FROM {schema}.page_{n}
WHERE partition = {n}
ORDER BY page DESC
LIMIT 1
