-- The message groups of erased contacts: what cannot be applied of them is not set aside either.
-- And those of the external ids that they have had: what was accepted before is not applied any
-- more.
CREATE TABLE erasures (
    message_group TEXT PRIMARY KEY,
    erased_at     TIMESTAMP NOT NULL, -- of an external id, when the erasure was accepted
    external_id   BOOLEAN NOT NULL DEFAULT FALSE,
    scrubbed      BOOLEAN NOT NULL DEFAULT FALSE -- whether nothing of it is left in the search index
) WITHOUT ROWID;
CREATE INDEX erasures_erased_at ON erasures (erased_at);
