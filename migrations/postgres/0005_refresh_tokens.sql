-- Who is signed in: each sign-in is a family of refresh tokens, of which the
-- last is the good one. Times are milliseconds since 1970, UTC.
CREATE TABLE refresh_tokens (
    family     TEXT PRIMARY KEY NOT NULL,             -- UUID
    account    TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    hash       BYTEA NOT NULL,                         -- SHA-256 of the good one
    epoch      BIGINT NOT NULL,                      -- of the account, when it signed in
    scopes     TEXT NOT NULL,                         -- names with spaces between
    created_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX refresh_tokens_of_account ON refresh_tokens (account, used_at);

-- Families and single access tokens that were revoked, until the last access
-- token that this is about has ended by itself.
CREATE TABLE revoked_tokens (
    id         TEXT PRIMARY KEY NOT NULL,             -- UUID
    until      BIGINT NOT NULL
);
