-- The end of every applied command, written in the command's own transaction: the fence against
-- applying it twice.
CREATE TABLE operations (
    tenant_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    kind        TEXT NOT NULL,
    contact_id  TEXT NOT NULL,
    status      TEXT NOT NULL,
    version     INTEGER NOT NULL,
    problem     TEXT,
    document    TEXT, -- of one that made no version, since it changed nothing; else see contact_changes
    fingerprint TEXT NOT NULL,
    accepted_at TIMESTAMP NOT NULL,
    ended_at    TIMESTAMP NOT NULL,
    PRIMARY KEY (tenant_id, id)
) WITHOUT ROWID;
CREATE INDEX operations_ended_at ON operations (ended_at);

-- The others are found by the changes that they made.
CREATE INDEX operations_without_change ON operations (tenant_id, contact_id) WHERE status = 'failed' OR document IS NOT NULL;
