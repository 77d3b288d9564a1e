-- What devices show to be let in. Times are milliseconds since 1970, UTC.
CREATE TABLE device_credentials (
    device     TEXT PRIMARY KEY NOT NULL,
    kind       TEXT CHECK (kind IN ('lock', 'light', 'camera', 'other')), -- it has to say that it is one
    secret     BYTEA NOT NULL,                                             -- the SHA-256
    created_at BIGINT NOT NULL
);
