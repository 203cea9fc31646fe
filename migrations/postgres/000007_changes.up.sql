-- The transaction that made a change: the order of commits, as far as readers need it. Older changes are before all.
ALTER TABLE contact_changes ADD COLUMN xid xid8 NOT NULL DEFAULT '0';
ALTER TABLE contact_changes ALTER COLUMN xid SET DEFAULT pg_current_xact_id();
CREATE INDEX contact_changes_order ON contact_changes (tenant_id, xid, seq);
