-- A contact as it is now. A deleted one stays as a tombstone, so that its versions are never used again.
CREATE TABLE contacts (
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

CREATE UNIQUE INDEX contacts_external_id ON contacts (tenant_id, external_id)
    WHERE external_id <> '' AND deleted_at IS NULL;

-- The end of every applied command, written in the command's own transaction: the fence against applying it twice.
CREATE TABLE operations (
    tenant_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    kind        TEXT NOT NULL,
    contact_id  TEXT NOT NULL,
    status      TEXT NOT NULL,
    version     INTEGER NOT NULL,
    problem     TEXT,
    fingerprint TEXT NOT NULL,
    accepted_at TIMESTAMP NOT NULL,
    ended_at    TIMESTAMP NOT NULL,
    PRIMARY KEY (tenant_id, id)
) WITHOUT ROWID;

-- Every version of every contact, as it was answered: what a repeated write is answered again.
CREATE TABLE contact_changes (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id    TEXT NOT NULL,
    contact_id   TEXT NOT NULL,
    version      INTEGER NOT NULL,
    operation_id TEXT NOT NULL,
    changed_at   TIMESTAMP NOT NULL,
    document     TEXT, -- JSON, byte for byte; null for a deletion
    UNIQUE (tenant_id, contact_id, version)
);
