CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin; -- so that an index of parts of texts begins with the tenant

CREATE INDEX contacts_search_text ON contacts USING gin (tenant_id, search_text gin_trgm_ops) WHERE deleted_at IS NULL;

-- The whole values by which live contacts are found, folded, such as "email:jane@example.com".
CREATE TABLE contact_keys (
    contact_id uuid NOT NULL,
    tenant_id  text NOT NULL,
    key        text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, key, contact_id)
);
