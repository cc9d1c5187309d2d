-- An operator asks the holder of a partition to try a parked stream again, or to do without the event that parked it.
UPDATE {schema}.reactor_parked SET asked = $4
WHERE name = $1 AND partition = $2 AND stream_id = $3
