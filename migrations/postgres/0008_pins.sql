-- PIN codes for keypads. The codes themselves are nowhere: a row is found by
-- the HMAC-SHA-256 of its code, under a key that is not in this database.
-- Times are milliseconds since 1970, UTC.
CREATE TABLE pins (
    hmac       BYTEA PRIMARY KEY NOT NULL CHECK (length(hmac) = 32),
    id         TEXT COLLATE "C" NOT NULL UNIQUE,                          -- UUIDv7
    account    TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,  -- whose it is
    name       TEXT NOT NULL,
    limits     TEXT NOT NULL,                                             -- a grant, as JSON
    one_time   BIGINT NOT NULL,
    used_at    BIGINT,                                                   -- of a one-time code
    disabled   BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX pins_of_account ON pins (account);
