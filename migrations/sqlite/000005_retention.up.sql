-- Find what has been kept for long enough.
CREATE INDEX operations_ended_at ON operations (ended_at);
CREATE INDEX contact_changes_changed_at ON contact_changes (changed_at);
CREATE INDEX contacts_deleted_at ON contacts (deleted_at) WHERE deleted_at IS NOT NULL;
