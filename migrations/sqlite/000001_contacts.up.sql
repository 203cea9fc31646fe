-- A contact as it is now: its document, as it is served byte for byte, and what it is found by. A
-- deleted one stays as a tombstone, so that its versions are never used again.
CREATE TABLE contacts (
    row_id           INTEGER PRIMARY KEY, -- which the search index goes by: it never changes
    tenant_id        TEXT NOT NULL,
    id               TEXT NOT NULL,
    version          INTEGER NOT NULL CHECK (version > 0),
    created_at       TIMESTAMP NOT NULL,
    updated_at       TIMESTAMP NOT NULL,
    deleted_at       TIMESTAMP,
    needs_reindexing BOOLEAN NOT NULL DEFAULT FALSE, -- an older release has written what it is found by
    external_id      TEXT, -- null where there is none, and of a tombstone
    name_key         BLOB NOT NULL, -- what sorts as the contact does, by the Unicode collation algorithm
    last_name_key    BLOB NOT NULL,
    first_name_key   BLOB NOT NULL,
    search_text      TEXT NOT NULL, -- folded
    keys             TEXT NOT NULL, -- the contact's rows in contact_keys, a line each
    document         TEXT, -- null of a tombstone
    UNIQUE (tenant_id, id)
);

CREATE UNIQUE INDEX contacts_external_id ON contacts (tenant_id, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX contacts_by_name ON contacts (tenant_id, name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX contacts_by_last_name ON contacts (tenant_id, last_name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX contacts_by_first_name ON contacts (tenant_id, first_name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX contacts_by_update ON contacts (tenant_id, updated_at, id) WHERE deleted_at IS NULL;
CREATE INDEX contacts_deleted_at ON contacts (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX contacts_needs_reindexing ON contacts (tenant_id, id) WHERE needs_reindexing;

-- The usual fields as columns, for users of SQL.
CREATE VIEW contact_fields AS
    SELECT tenant_id, id, version, created_at, updated_at,
        document->>'display_name' AS display_name, document->>'first_name' AS first_name,
        document->>'middle_name' AS middle_name, document->>'last_name' AS last_name,
        document->>'name_prefix' AS name_prefix, document->>'name_suffix' AS name_suffix,
        document->>'nickname' AS nickname, document->>'email' AS email, document->>'phone' AS phone,
        document->>'organization' AS organization, document->>'department' AS department,
        document->>'job_title' AS job_title, document->>'birthday' AS birthday, document->>'notes' AS notes,
        external_id, document->'emails' AS emails, document->'phones' AS phones,
        document->'addresses' AS addresses, document->'urls' AS urls, document->'labels' AS labels,
        document->'custom_fields' AS custom_fields
    FROM contacts WHERE deleted_at IS NULL;
