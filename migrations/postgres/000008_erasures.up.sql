-- The message groups of erased contacts: what cannot be applied of them is not set aside either.
-- And those of the external ids that they have had: what was accepted before is not applied any
-- more.
CREATE TABLE erasures (
    message_group text PRIMARY KEY,
    erased_at     timestamptz NOT NULL, -- of an external id, when the erasure was accepted
    external_id   boolean NOT NULL DEFAULT false
);
CREATE INDEX erasures_erased_at ON erasures (erased_at);
