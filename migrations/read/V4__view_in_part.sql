-- A stream's view stands in the row of its only part now. Generations that were made before have the view of every stream in a table of its
-- own: they get the columns, so that a rebuild can compare itself with them, and another fingerprint, so that nobody goes on where they
-- stopped. A rebuild takes their place.
DO $$
DECLARE
    old record;
BEGIN
    FOR old IN
        SELECT g.projection, g.generation, g.parts
        FROM generation g
        WHERE to_regclass(g.parts) IS NOT NULL
            AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass(g.parts) AND a.attname = 'version' AND NOT a.attisdropped)
    LOOP
        EXECUTE format('ALTER TABLE %I ADD COLUMN version bigint, ADD COLUMN view bytea', old.parts);
        UPDATE generation SET fingerprint = fingerprint || '\x00' WHERE projection = old.projection AND generation = old.generation;
    END LOOP;
END
$$;
