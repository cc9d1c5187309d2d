-- Every event before {end}, as the rows lie.
COPY (
    SELECT "offset", stream_id, version, type, payload, recorded_at
    FROM {schema}.event_{n}
    WHERE partition = {n} AND "offset" < {end}
) TO STDOUT (FORMAT binary)
