-- The parts of search_text of three characters, of every row.
CREATE VIRTUAL TABLE contacts_search USING fts5 (
    search_text, content = 'contacts', content_rowid = 'row_id', tokenize = 'trigram case_sensitive 1'
);
CREATE TRIGGER contacts_search_insert AFTER INSERT ON contacts BEGIN
    INSERT INTO contacts_search (rowid, search_text) VALUES (new.row_id, new.search_text);
END;
CREATE TRIGGER contacts_search_delete AFTER DELETE ON contacts BEGIN
    INSERT INTO contacts_search (contacts_search, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
END;
CREATE TRIGGER contacts_search_update AFTER UPDATE ON contacts WHEN old.search_text <> new.search_text BEGIN
    INSERT INTO contacts_search (contacts_search, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
    INSERT INTO contacts_search (rowid, search_text) VALUES (new.row_id, new.search_text);
END;

-- The whole values by which live contacts are found, folded, such as "email:jane@example.com".
CREATE TABLE contact_keys (
    tenant_id  TEXT NOT NULL,
    key        TEXT NOT NULL,
    contact_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, key, contact_id)
) WITHOUT ROWID;
