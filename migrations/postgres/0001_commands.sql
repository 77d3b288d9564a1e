-- Commands and their ends. Times are milliseconds since 1970, UTC.
CREATE TABLE commands (
    id           TEXT COLLATE "C" PRIMARY KEY NOT NULL, -- UUIDv7, so that the order of ids is that of time
    device       TEXT NOT NULL,
    verb         TEXT NOT NULL,
    issuer       TEXT NOT NULL,
    status       TEXT NOT NULL,
    detail       TEXT,
    issued_at    BIGINT NOT NULL,
    sent_at      BIGINT,
    delivered_at BIGINT,
    ended_at     BIGINT,
    expires_at   BIGINT NOT NULL
);

CREATE INDEX commands_of_device ON commands (device, id);
CREATE INDEX commands_under_way ON commands (id) WHERE ended_at IS NULL;

-- Answers to requests that carried an Idempotency-Key, kept for 24 hours.
CREATE TABLE idempotency_keys (
    identity   TEXT NOT NULL,
    route      TEXT NOT NULL,
    key        TEXT NOT NULL,
    body_hash  BYTEA NOT NULL,                 -- SHA-256 of what was asked
    run        TEXT NOT NULL,                 -- the run of the server that took it
    status     BIGINT,                       -- NULL until it was answered
    answer     TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (identity, route, key)
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
