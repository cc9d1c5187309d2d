-- Asks the projector that owns the partition to fold a parked stream again, or to do without the event that parked it.
UPDATE read.parked SET asked = $5
WHERE projection = $1 AND generation = $2 AND service = $3 AND stream_id = $4
