-- The ranges of pages whose requests are still attached: bounds as the catalogue writes them.
SELECT pg_get_expr(c.relpartbound, c.oid)
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = '{schema}.request_{n}'::regclass
