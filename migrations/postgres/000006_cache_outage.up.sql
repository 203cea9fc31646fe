-- While there is a row, some worker cannot reach the cache, and nothing in it is trusted. There is
-- at most one.
CREATE TABLE cache_outage (
    id          integer PRIMARY KEY CHECK (id = 1),
    token       text NOT NULL,
    known_since timestamptz, -- when the declaration was first seen committed; null until then
    last_invalidation   timestamptz  -- when one was paid last
);

-- The contacts that were written meanwhile, and of which the cache may hold an older version.
CREATE TABLE pending_invalidations (
    tenant_id  text NOT NULL,
    contact_id uuid NOT NULL,
    version    bigint NOT NULL,
    PRIMARY KEY (tenant_id, contact_id)
);
