CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin; -- so that an index of parts of texts begins with the tenant

-- What contacts are found and ordered by, folded: without case and accents.
ALTER TABLE contacts ADD COLUMN search_text text NOT NULL DEFAULT '';
ALTER TABLE contacts ADD COLUMN search_name text COLLATE "C" NOT NULL DEFAULT '';

ALTER TABLE contacts ADD COLUMN search_version bigint NOT NULL DEFAULT 0; -- by which they were made; 0: not yet

CREATE INDEX contacts_unindexed ON contacts (search_version) WHERE search_version < 1 AND deleted_at IS NULL;
CREATE INDEX contacts_search_text ON contacts USING gin (tenant_id, search_text gin_trgm_ops) WHERE deleted_at IS NULL;
CREATE INDEX contacts_by_name ON contacts (tenant_id, search_name, id) WHERE deleted_at IS NULL;
CREATE INDEX contacts_by_update ON contacts (tenant_id, updated_at, id) WHERE deleted_at IS NULL;

-- The whole values by which live contacts are found: email addresses, phone numbers' digits and labels, folded.
CREATE TABLE contact_keys (
    tenant_id  text NOT NULL,
    kind       text NOT NULL, -- email, phone or label
    value      text COLLATE "C" NOT NULL,
    contact_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, kind, value, contact_id)
);
CREATE INDEX contact_keys_contact ON contact_keys (tenant_id, contact_id);
