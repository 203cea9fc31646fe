-- So late that nobody writes without the cache before the outage has been declared anew.
ALTER TABLE cache_outage ADD COLUMN since TIMESTAMP NOT NULL DEFAULT '9999-12-31 00:00:00+00:00';
ALTER TABLE cache_outage DROP COLUMN last_debt;
ALTER TABLE cache_outage DROP COLUMN known_since;
ALTER TABLE cache_outage DROP COLUMN token;
