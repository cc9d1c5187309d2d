-- The requests of one page, as they came.
SELECT requests FROM {schema}.request_{n} WHERE partition = {n} AND page = $1
