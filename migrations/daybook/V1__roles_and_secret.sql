-- Roles of the whole cluster, and the install's secret. Connections take one of these roles and can do no more
-- than it must: a lane appends, an audit reads, a projector writes read models, the query API reads them.
DO $$
DECLARE
    r text;
BEGIN
    FOREACH r IN ARRAY ARRAY['daybook_writer', 'daybook_reader', 'daybook_projector', 'daybook_query'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', r);
        EXCEPTION
            -- Roles belong to the cluster: another database's install may have made them, perhaps this moment.
            WHEN duplicate_object OR unique_violation THEN NULL;
        END;
        IF NOT pg_has_role(current_user, r, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO CURRENT_USER', r);
        END IF;
    END LOOP;
END
$$;

-- Signs handles, page tokens and the messages that the engine itself sends.
CREATE TABLE secret (
    name text PRIMARY KEY,
    value bytea NOT NULL
);

GRANT USAGE ON SCHEMA daybook TO daybook_writer, daybook_reader, daybook_projector, daybook_query;
GRANT SELECT ON secret TO daybook_writer, daybook_reader, daybook_projector, daybook_query;
