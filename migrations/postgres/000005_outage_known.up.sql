-- An outage counts from when somebody has seen its declaration committed; null until then.
ALTER TABLE cache_outage ADD COLUMN token text NOT NULL DEFAULT '';
ALTER TABLE cache_outage ADD COLUMN known_since timestamptz;
ALTER TABLE cache_outage ADD COLUMN last_debt timestamptz; -- when one was paid last
ALTER TABLE cache_outage DROP COLUMN since;
