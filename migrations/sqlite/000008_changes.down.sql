DROP INDEX contact_changes_order;
