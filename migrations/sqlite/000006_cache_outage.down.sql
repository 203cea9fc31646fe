DROP TABLE pending_invalidations;
DROP TABLE cache_outage;
