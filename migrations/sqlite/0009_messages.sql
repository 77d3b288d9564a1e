-- What was sent through the gateway, and what was received on the topics that
-- the settings name. The id is a time (milliseconds since 1970, UTC) and a
-- count, so that the order of ids is that of time; other times are
-- milliseconds, too.
CREATE TABLE messages (
    id           INTEGER PRIMARY KEY,
    state        TEXT NOT NULL,               -- waiting, sent, failed, expired, received
    topic        TEXT NOT NULL,
    device       TEXT,
    account      TEXT,                        -- who sent it, by what never is anybody else's
    sender       TEXT,                        -- the same by name
    qos          INTEGER NOT NULL,
    retain       INTEGER NOT NULL,
    content_type TEXT,
    properties   TEXT,                        -- a JSON object
    expires_at   INTEGER,
    ended_at     INTEGER,
    detail       TEXT,
    is_base64    INTEGER NOT NULL,            -- whether the payload is no text
    payload      TEXT NOT NULL
);

CREATE INDEX messages_by_topic ON messages (topic, id);
CREATE INDEX messages_by_device ON messages (device, id) WHERE device IS NOT NULL;
CREATE INDEX messages_by_account ON messages (account, id) WHERE account IS NOT NULL;
CREATE INDEX messages_by_state ON messages (state, id);
CREATE INDEX messages_sent ON messages (id) WHERE state <> 'received';

-- How many there are, and how many bytes they take, about.
CREATE TABLE messages_total (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    count INTEGER NOT NULL,
    bytes INTEGER NOT NULL
);
INSERT INTO messages_total VALUES (1, 0, 0);

CREATE TRIGGER messages_added AFTER INSERT ON messages
BEGIN
    UPDATE messages_total SET count = count + 1,
        bytes = bytes + 200 + 2 * length(NEW.topic) + length(NEW.payload)
            + coalesce(length(NEW.properties), 0);
END;

CREATE TRIGGER messages_removed AFTER DELETE ON messages
BEGIN
    UPDATE messages_total SET count = count - 1,
        bytes = bytes - 200 - 2 * length(OLD.topic) - length(OLD.payload)
            - coalesce(length(OLD.properties), 0);
END;
