-- Has a view of a read model that is kept as SQL select from the generation that is served, in the transaction that makes it so. Where its
-- columns are others than before it is made again, which whoever has views upon it must allow. Its comment says which definition it has.
DO $do$
BEGIN
    CREATE OR REPLACE VIEW read.{view} AS {select};
EXCEPTION WHEN invalid_table_definition THEN
    DROP VIEW read.{view};
    CREATE VIEW read.{view} AS {select};
END
$do$;
GRANT SELECT ON read.{view} TO daybook_reader;
COMMENT ON VIEW read.{view} IS '{mark}'
