-- All parts of some pages, in the order in which they are put together.
SELECT k.key, p.part, p.bytes
FROM unnest($1::text[]) AS k (key)
JOIN read.{parts} p ON p.key = k.key
ORDER BY k.key COLLATE "C", p.part COLLATE "C"
