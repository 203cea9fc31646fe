-- Commands that could be neither applied nor read: see `contacts worker parked`.
CREATE TABLE parked_commands (
    id            uuid PRIMARY KEY, -- the operation, or a new id where the message cannot be read
    tenant_id     text NOT NULL,
    message_group text NOT NULL,
    body          text NOT NULL,
    reason        text NOT NULL,
    attempts      bigint NOT NULL,
    parked_at     timestamptz NOT NULL
);
ALTER TABLE parked_commands ALTER body SET STATISTICS 0;
