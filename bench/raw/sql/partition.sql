-- One partition of each table, as Daybook writes to one: by its own name.
CREATE TABLE page_{n} PARTITION OF page FOR VALUES IN ({n});
CREATE TABLE event_{n} PARTITION OF event FOR VALUES IN ({n});
CREATE TABLE command_{n} PARTITION OF command FOR VALUES IN ({n});
CREATE TABLE request_{n} PARTITION OF request FOR VALUES IN ({n});
