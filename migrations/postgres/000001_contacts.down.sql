DROP TABLE contact_changes;
DROP TABLE operations;
DROP TABLE contacts;
