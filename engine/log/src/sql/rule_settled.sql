-- Everything before it has come to an end, as far as this rule is concerned.
SELECT settled FROM {schema}.reactor WHERE name = $1 AND partition = $2
