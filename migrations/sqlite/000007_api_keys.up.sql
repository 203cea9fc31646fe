-- API keys, of which only the SHA-256 is kept: see `contacts keys`.
CREATE TABLE api_keys (
    id         TEXT PRIMARY KEY,
    hash       BLOB NOT NULL UNIQUE,
    tenant_id  TEXT NOT NULL,
    scopes     TEXT NOT NULL, -- separated by spaces
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP,
    revoked_at TIMESTAMP
);
