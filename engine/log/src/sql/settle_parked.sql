UPDATE {schema}.parked SET settled_at = $2, settlement = $3 WHERE parked_id = $1 AND settled_at IS NULL
