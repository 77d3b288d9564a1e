-- People, and the API keys of programs. Times are milliseconds since 1970, UTC.
CREATE TABLE accounts (
    id         TEXT PRIMARY KEY NOT NULL,             -- UUIDv7
    name       TEXT NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('user', 'key')),
    role       TEXT NOT NULL CHECK (role IN ('owner', 'member', 'guest')),
    scopes     TEXT NOT NULL,                         -- names with spaces between
    grants     TEXT NOT NULL,                         -- JSON
    password   TEXT,                                  -- argon2id, as a PHC string
    secret     BYTEA,                                  -- of a key: the SHA-256
    subject    TEXT UNIQUE,                           -- at an OpenID Connect provider
    epoch      BIGINT NOT NULL,                      -- tokens of an earlier one are void
    disabled   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);

-- Whatever their case.
CREATE UNIQUE INDEX accounts_by_name ON accounts (lower(name COLLATE "C"));
