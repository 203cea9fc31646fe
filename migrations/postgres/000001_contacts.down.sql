DROP VIEW contact_fields;
DROP TABLE contacts;
