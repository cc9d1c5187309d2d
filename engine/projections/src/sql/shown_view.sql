-- The definition that a view of a read model has.
SELECT obj_description(to_regclass('read.' || $1::text), 'pg_class')
