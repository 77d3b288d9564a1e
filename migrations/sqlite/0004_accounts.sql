-- People, and the API keys of programs. Times are milliseconds since 1970, UTC.
CREATE TABLE accounts (
    id         TEXT PRIMARY KEY NOT NULL,             -- UUIDv7
    name       TEXT NOT NULL UNIQUE COLLATE NOCASE,
    kind       TEXT NOT NULL CHECK (kind IN ('user', 'key')),
    role       TEXT NOT NULL CHECK (role IN ('owner', 'member', 'guest')),
    scopes     TEXT NOT NULL,                         -- names with spaces between
    grants     TEXT NOT NULL,                         -- JSON
    password   TEXT,                                  -- argon2id, as a PHC string
    secret     BLOB,                                  -- of a key: the SHA-256
    subject    TEXT UNIQUE,                           -- at an OpenID Connect provider
    epoch      INTEGER NOT NULL,                      -- tokens of an earlier one are void
    disabled   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) WITHOUT ROWID;
