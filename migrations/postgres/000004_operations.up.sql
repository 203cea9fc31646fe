-- The end of every applied command, written in the command's own transaction: the fence against
-- applying it twice.
CREATE TABLE operations (
    id          uuid NOT NULL,
    contact_id  uuid NOT NULL,
    version     bigint NOT NULL,
    accepted_at timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL,
    tenant_id   text NOT NULL,
    kind        text NOT NULL,
    status      text NOT NULL,
    fingerprint text NOT NULL,
    problem     jsonb,
    document    json, -- of one that made no version, since it changed nothing; else see contact_changes
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX operations_ended_at ON operations USING brin (ended_at) WITH (autosummarize = true);

-- The others are found by the changes that they made.
CREATE INDEX operations_without_change ON operations (tenant_id, contact_id) WHERE status = 'failed' OR document IS NOT NULL;
