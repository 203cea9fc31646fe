DROP TABLE contact_keys;
DROP INDEX contacts_by_update;
DROP INDEX contacts_by_name;
DROP INDEX contacts_search_text;
ALTER TABLE contacts DROP COLUMN search_name;
ALTER TABLE contacts DROP COLUMN search_text;
DROP EXTENSION btree_gin;
DROP EXTENSION pg_trgm;
