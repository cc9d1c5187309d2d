-- Statistics of a table ({parts}) that was filled. Not of one that is empty: the planner would take it for empty while it grows.
DO $$ BEGIN IF EXISTS (SELECT FROM read.{parts}) THEN ANALYZE read.{parts}; END IF; END $$
