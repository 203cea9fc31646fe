-- The message groups of erased contacts: what cannot be applied of them is not set aside either.
CREATE TABLE erasures (
    message_group TEXT PRIMARY KEY,
    erased_at     TIMESTAMP NOT NULL,
    scrubbed      BOOLEAN NOT NULL DEFAULT FALSE -- whether nothing of it is left in the search index
) WITHOUT ROWID;
CREATE INDEX erasures_erased_at ON erasures (erased_at);
