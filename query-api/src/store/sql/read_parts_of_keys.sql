-- All parts of several keys.
SELECT p.key, p.part, p.bytes, p."offset"
FROM unnest($1::text[]) AS k (key)
JOIN read.{parts} p ON p.key = k.key
