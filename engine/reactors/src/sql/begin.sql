-- A reactor that is new here begins at this offset.
INSERT INTO {schema}.reactor (name, partition, next_offset, settled, epoch)
VALUES ($1, $2, $3, $3, $4)
ON CONFLICT DO NOTHING
