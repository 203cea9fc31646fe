DROP TABLE contact_keys;
DROP INDEX contacts_search_text;
