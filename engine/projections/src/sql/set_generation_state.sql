-- From one of some states ($4) to another; no row: it is in none of them.
UPDATE read.generation SET state = $3
WHERE projection = $1 AND generation = $2 AND state = ANY ($4::text[])
