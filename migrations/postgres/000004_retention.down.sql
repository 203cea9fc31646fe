DROP INDEX contacts_deleted_at;
DROP INDEX contact_changes_changed_at;
DROP INDEX operations_ended_at;
