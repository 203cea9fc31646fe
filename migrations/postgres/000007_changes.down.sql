DROP INDEX contact_changes_order;
ALTER TABLE contact_changes DROP COLUMN xid;
