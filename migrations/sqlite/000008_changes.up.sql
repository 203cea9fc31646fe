CREATE INDEX contact_changes_order ON contact_changes (tenant_id, seq);
