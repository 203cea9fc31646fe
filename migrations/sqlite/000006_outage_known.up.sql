-- An outage counts from when somebody has seen its declaration committed; null until then.
ALTER TABLE cache_outage ADD COLUMN token TEXT NOT NULL DEFAULT '';
ALTER TABLE cache_outage ADD COLUMN known_since TIMESTAMP;
ALTER TABLE cache_outage ADD COLUMN last_debt TIMESTAMP; -- when one was paid last
ALTER TABLE cache_outage DROP COLUMN since;
