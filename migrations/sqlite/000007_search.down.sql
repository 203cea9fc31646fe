DROP TABLE contact_keys;
DROP TABLE contacts_search;
CREATE TABLE contacts_old (
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
    PRIMARY KEY (tenant_id, id)
);
INSERT INTO contacts_old (
    tenant_id, id, version, created_at, updated_at, deleted_at, first_name, middle_name, last_name, name_prefix,
    name_suffix, nickname, display_name, email, phone, organization, department, job_title, birthday, notes,
    external_id, emails, phones, addresses, urls, labels, custom_fields
) SELECT
    tenant_id, id, version, created_at, updated_at, deleted_at, first_name, middle_name, last_name, name_prefix,
    name_suffix, nickname, display_name, email, phone, organization, department, job_title, birthday, notes,
    external_id, emails, phones, addresses, urls, labels, custom_fields
FROM contacts;
DROP TABLE contacts; -- and its indexes and triggers
ALTER TABLE contacts_old RENAME TO contacts;
CREATE UNIQUE INDEX contacts_external_id ON contacts (tenant_id, external_id)
    WHERE external_id <> '' AND deleted_at IS NULL;
CREATE INDEX contacts_deleted_at ON contacts (deleted_at) WHERE deleted_at IS NOT NULL;
