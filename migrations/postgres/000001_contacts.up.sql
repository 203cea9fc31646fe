-- A contact as it is now. A deleted one stays as a tombstone, so that its versions are never used again.
CREATE TABLE contacts (
    tenant_id     text NOT NULL,
    id            uuid NOT NULL,
    version       bigint NOT NULL CHECK (version > 0),
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    deleted_at    timestamptz,
    first_name    text NOT NULL,
    middle_name   text NOT NULL,
    last_name     text NOT NULL,
    name_prefix   text NOT NULL,
    name_suffix   text NOT NULL,
    nickname      text NOT NULL,
    display_name  text NOT NULL,
    email         text NOT NULL,
    phone         text NOT NULL,
    organization  text NOT NULL,
    department    text NOT NULL,
    job_title     text NOT NULL,
    birthday      text NOT NULL,
    notes         text NOT NULL,
    external_id   text NOT NULL,
    emails        jsonb,
    phones        jsonb,
    addresses     jsonb,
    urls          jsonb,
    labels        jsonb,
    custom_fields jsonb,
    PRIMARY KEY (tenant_id, id)
);

CREATE UNIQUE INDEX contacts_external_id ON contacts (tenant_id, external_id)
    WHERE external_id <> '' AND deleted_at IS NULL;

-- The end of every applied command, written in the command's own transaction: the fence against applying it twice.
CREATE TABLE operations (
    tenant_id   text NOT NULL,
    id          uuid NOT NULL,
    kind        text NOT NULL,
    contact_id  uuid NOT NULL,
    status      text NOT NULL,
    version     bigint NOT NULL,
    problem     jsonb,
    fingerprint text NOT NULL,
    accepted_at timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

-- Every version of every contact, as it was answered: what a repeated write is answered again.
CREATE TABLE contact_changes (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id    text NOT NULL,
    contact_id   uuid NOT NULL,
    version      bigint NOT NULL,
    operation_id uuid NOT NULL,
    changed_at   timestamptz NOT NULL,
    document     text, -- JSON, byte for byte; null for a deletion
    UNIQUE (tenant_id, contact_id, version)
);
