-- Nobody finishes, serves or retires a generation of a read model until this transaction ends.
SELECT FROM read.generation
WHERE projection = $1
ORDER BY generation
FOR UPDATE
