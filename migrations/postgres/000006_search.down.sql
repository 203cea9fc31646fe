DROP TABLE contact_keys;
DROP INDEX contacts_by_update;
DROP INDEX contacts_by_name;
DROP INDEX contacts_search_text;
DROP INDEX contacts_unindexed;
ALTER TABLE contacts DROP COLUMN search_version;
ALTER TABLE contacts DROP COLUMN search_name;
ALTER TABLE contacts DROP COLUMN search_text;
