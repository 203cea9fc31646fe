-- Every version of every contact, as it was answered: what a repeated write is answered again.
CREATE TABLE contact_changes (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of commits
    tenant_id    TEXT NOT NULL,
    contact_id   TEXT NOT NULL,
    version      INTEGER NOT NULL,
    operation_id TEXT NOT NULL,
    changed_at   TIMESTAMP NOT NULL,
    document     TEXT, -- null for a deletion, and once the contact was erased
    UNIQUE (tenant_id, contact_id, version)
);
CREATE INDEX contact_changes_order ON contact_changes (tenant_id, seq);
CREATE INDEX contact_changes_changed_at ON contact_changes (changed_at);
