-- API keys, of which only the SHA-256 is kept: see `contacts keys`.
CREATE TABLE api_keys (
    id         uuid PRIMARY KEY,
    hash       bytea NOT NULL UNIQUE,
    tenant_id  text NOT NULL,
    scopes     text NOT NULL, -- separated by spaces
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz
);
