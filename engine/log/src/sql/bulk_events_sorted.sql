-- Every event before {end}, in order.
COPY (
    SELECT "offset", stream_id, version, type, payload, recorded_at
    FROM {schema}.event_{n}
    WHERE partition = {n} AND "offset" < {end}
    ORDER BY "offset"
) TO STDOUT (FORMAT binary)
