-- While there is a row, some worker cannot reach the cache, and nothing in it is trusted. There is
-- at most one.
CREATE TABLE cache_outage (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    token       TEXT NOT NULL,
    known_since TIMESTAMP, -- when the declaration was first seen committed; null until then
    last_invalidation   TIMESTAMP  -- when one was paid last
);

-- The contacts that were written meanwhile, and of which the cache may hold an older version.
CREATE TABLE pending_invalidations (
    tenant_id  TEXT NOT NULL,
    contact_id TEXT NOT NULL,
    version    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, contact_id)
) WITHOUT ROWID;
