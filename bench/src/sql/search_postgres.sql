-- A search over a made catalogue by Postgres alone: the reason for an index beside it (docs/search.md).
--
--   daybook-bench products --count 1000000 --out /tmp/products.jsonl
--   psql URL_OF_AN_EMPTY_DATABASE -v file=/tmp/products.jsonl -f bench/src/sql/search_postgres.sql
\set ON_ERROR_STOP on
\timing on
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE UNLOGGED TABLE line (row text);
-- Characters that no line holds, so that nothing is taken for a quote or a delimiter.
\set copy '\\copy line FROM ' :'file' ' WITH (FORMAT csv, QUOTE E''\\x01'', DELIMITER E''\\x02'')'
:copy
CREATE UNLOGGED TABLE product AS
SELECT r ->> 'id' AS sku, r ->> 'title' AS title, r ->> 'supplier' AS brand, r ->> 'category' AS category,
       (r ->> 'price')::bigint AS price, hashtext(r ->> 'id') % 2 = 0 AS in_stock,
       setweight(to_tsvector('english', r ->> 'title'), 'A')
       || setweight(to_tsvector('english', coalesce(r ->> 'supplier', '') || ' ' || (r ->> 'category')), 'B')
       || setweight(to_tsvector('english', coalesce(r ->> 'short_description', '')), 'C') AS terms
FROM (SELECT row::jsonb AS r FROM line) AS rows;
CREATE INDEX product_terms ON product USING gin (terms);
VACUUM ANALYZE product;
SELECT pg_size_pretty(pg_table_size('product')) AS heap, pg_size_pretty(pg_relation_size('product_terms')) AS gin;
SET jit = off;
-- Each twice: the second is warm.
PREPARE page(text) AS
SELECT sku, ts_rank(terms, q) AS rank FROM product, websearch_to_tsquery('english', $1) AS q
WHERE terms @@ q ORDER BY in_stock DESC, rank DESC, sku LIMIT 20;
PREPARE facets(text) AS
SELECT grouping(brand, category, p) AS facet, brand, category, p, count(*)
FROM (SELECT brand, category, width_bucket(price, ARRAY[1000, 2500, 5000, 10000, 25000, 50000, 100000]) AS p
      FROM product, websearch_to_tsquery('english', $1) AS q WHERE terms @@ q) AS found
GROUP BY GROUPING SETS ((brand), (category), (p));
\o /dev/null
\echo black, page
EXECUTE page('black');
EXECUTE page('black');
\echo black, facets
EXECUTE facets('black');
EXECUTE facets('black');
\echo black usb, page
EXECUTE page('black usb');
EXECUTE page('black usb');
\echo black usb, facets
EXECUTE facets('black usb');
EXECUTE facets('black usb');
\echo smartwatch, page
EXECUTE page('smartwatch');
EXECUTE page('smartwatch');
\o
SELECT count(*) FILTER (WHERE terms @@ 'black') AS black, count(*) FILTER (WHERE terms @@ 'black & usb') AS black_usb FROM product;
