-- What contacts are found and ordered by, folded: without case and accents.
CREATE TABLE contacts_new (
    row_id        INTEGER PRIMARY KEY, -- which the search index goes by: it never changes
    tenant_id     TEXT NOT NULL,
    id            TEXT NOT NULL,
    version       INTEGER NOT NULL CHECK (version > 0),
    created_at    TIMESTAMP NOT NULL,
    updated_at    TIMESTAMP NOT NULL,
    deleted_at    TIMESTAMP,
    first_name    TEXT NOT NULL,
    middle_name   TEXT NOT NULL,
    last_name     TEXT NOT NULL,
    name_prefix   TEXT NOT NULL,
    name_suffix   TEXT NOT NULL,
    nickname      TEXT NOT NULL,
    display_name  TEXT NOT NULL,
    email         TEXT NOT NULL,
    phone         TEXT NOT NULL,
    organization  TEXT NOT NULL,
    department    TEXT NOT NULL,
    job_title     TEXT NOT NULL,
    birthday      TEXT NOT NULL,
    notes         TEXT NOT NULL,
    external_id   TEXT NOT NULL,
    emails        TEXT,
    phones        TEXT,
    addresses     TEXT,
    urls          TEXT,
    labels        TEXT,
    custom_fields TEXT,
    search_text   TEXT NOT NULL DEFAULT '',
    search_name   TEXT NOT NULL DEFAULT '',
    search_version INTEGER NOT NULL DEFAULT 0, -- by which they were made; 0: not yet
    UNIQUE (tenant_id, id)
);
INSERT INTO contacts_new (
    tenant_id, id, version, created_at, updated_at, deleted_at, first_name, middle_name, last_name, name_prefix,
    name_suffix, nickname, display_name, email, phone, organization, department, job_title, birthday, notes,
    external_id, emails, phones, addresses, urls, labels, custom_fields
) SELECT
    tenant_id, id, version, created_at, updated_at, deleted_at, first_name, middle_name, last_name, name_prefix,
    name_suffix, nickname, display_name, email, phone, organization, department, job_title, birthday, notes,
    external_id, emails, phones, addresses, urls, labels, custom_fields
FROM contacts;
DROP TABLE contacts;
ALTER TABLE contacts_new RENAME TO contacts;

CREATE UNIQUE INDEX contacts_external_id ON contacts (tenant_id, external_id)
    WHERE external_id <> '' AND deleted_at IS NULL;
CREATE INDEX contacts_deleted_at ON contacts (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX contacts_unindexed ON contacts (search_version) WHERE search_version < 1 AND deleted_at IS NULL;
CREATE INDEX contacts_by_name ON contacts (tenant_id, search_name, id) WHERE deleted_at IS NULL;
CREATE INDEX contacts_by_update ON contacts (tenant_id, updated_at, id) WHERE deleted_at IS NULL;

-- The parts of search_text of three characters, of every row.
CREATE VIRTUAL TABLE contacts_search USING fts5 (
    search_text, content = 'contacts', content_rowid = 'row_id', tokenize = 'trigram case_sensitive 1'
);
INSERT INTO contacts_search (contacts_search) VALUES ('rebuild');
CREATE TRIGGER contacts_search_insert AFTER INSERT ON contacts BEGIN
    INSERT INTO contacts_search (rowid, search_text) VALUES (new.row_id, new.search_text);
END;
CREATE TRIGGER contacts_search_delete AFTER DELETE ON contacts BEGIN
    INSERT INTO contacts_search (contacts_search, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
END;
CREATE TRIGGER contacts_search_update AFTER UPDATE ON contacts WHEN old.search_text <> new.search_text BEGIN
    INSERT INTO contacts_search (contacts_search, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
    INSERT INTO contacts_search (rowid, search_text) VALUES (new.row_id, new.search_text);
END;

-- The whole values by which live contacts are found: email addresses, phone numbers' digits and labels, folded.
CREATE TABLE contact_keys (
    tenant_id  TEXT NOT NULL,
    kind       TEXT NOT NULL, -- email, phone or label
    value      TEXT NOT NULL,
    contact_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, kind, value, contact_id)
) WITHOUT ROWID;
CREATE INDEX contact_keys_contact ON contact_keys (tenant_id, contact_id);
