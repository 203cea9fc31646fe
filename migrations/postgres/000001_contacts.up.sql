-- A contact as it is now: its document, as it is served byte for byte, and what it is found by. A
-- deleted one stays as a tombstone, so that its versions are never used again.
CREATE TABLE contacts (
    id               uuid NOT NULL,
    version          bigint NOT NULL CHECK (version > 0),
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    deleted_at       timestamptz,
    needs_reindexing boolean NOT NULL DEFAULT false, -- an older release has written what it is found by
    tenant_id        text NOT NULL,
    external_id      text, -- null where there is none, and of a tombstone
    name_key         bytea NOT NULL, -- what sorts as the contact does, by the Unicode collation algorithm
    last_name_key    bytea NOT NULL,
    first_name_key   bytea NOT NULL,
    search_text      text NOT NULL,             -- folded
    keys             text NOT NULL,             -- the contact's rows in contact_keys, a line each
    document         json, -- null of a tombstone
    PRIMARY KEY (tenant_id, id)
);

CREATE UNIQUE INDEX contacts_external_id ON contacts (tenant_id, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX contacts_by_name ON contacts (tenant_id, name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX contacts_by_last_name ON contacts (tenant_id, last_name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX contacts_by_first_name ON contacts (tenant_id, first_name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX contacts_by_update ON contacts (tenant_id, updated_at, id) WHERE deleted_at IS NULL;
CREATE INDEX contacts_deleted_at ON contacts (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX contacts_needs_reindexing ON contacts (tenant_id, id) WHERE needs_reindexing;

-- The planner keeps samples of values, of people's data only where they are searched by.
ALTER TABLE contacts ALTER document SET STATISTICS 0, ALTER keys SET STATISTICS 0;

-- The usual fields as columns, for users of SQL. Row-level security is that of its reader.
CREATE VIEW contact_fields WITH (security_invoker = true) AS
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
