-- The message groups of erased contacts: what cannot be applied of them is not set aside either.
CREATE TABLE erasures (
    message_group text PRIMARY KEY,
    erased_at     timestamptz NOT NULL
);
CREATE INDEX erasures_erased_at ON erasures (erased_at);
