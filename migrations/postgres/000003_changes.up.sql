-- Every version of every contact, as it was answered: what a repeated write is answered again. Its
-- transaction is the order of commits, as far as readers need it.
CREATE TABLE contact_changes (
    seq          bigint GENERATED ALWAYS AS IDENTITY,
    xid          xid8 NOT NULL DEFAULT pg_current_xact_id(),
    contact_id   uuid NOT NULL,
    operation_id uuid NOT NULL,
    version      bigint NOT NULL,
    changed_at   timestamptz NOT NULL,
    tenant_id    text NOT NULL,
    document     json, -- null for a deletion, and once the contact was erased
    UNIQUE (tenant_id, contact_id, version)
);
CREATE INDEX contact_changes_order ON contact_changes (tenant_id, xid, seq);
CREATE INDEX contact_changes_changed_at ON contact_changes USING brin (changed_at) WITH (autosummarize = true);
ALTER TABLE contact_changes ALTER document SET STATISTICS 0;
