-- Commands that could be neither applied nor read: see `contacts worker parked`.
CREATE TABLE parked_commands (
    id            TEXT PRIMARY KEY, -- the operation, or a new id where the message cannot be read
    tenant_id     TEXT NOT NULL,
    message_group TEXT NOT NULL,
    body          TEXT NOT NULL,
    reason        TEXT NOT NULL,
    attempts      INTEGER NOT NULL,
    parked_at     TIMESTAMP NOT NULL
);
