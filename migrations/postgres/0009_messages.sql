-- What was sent through the gateway, and what was received on the topics that
-- the settings name. The id is a time (milliseconds since 1970, UTC) and a
-- count, so that the order of ids is that of time; other times are
-- milliseconds, too.
CREATE TABLE messages (
    id           BIGINT PRIMARY KEY,
    state        TEXT NOT NULL,               -- waiting, sent, failed, expired, received
    topic        TEXT COLLATE "C" NOT NULL,
    device       TEXT,
    account      TEXT,                        -- who sent it, by what never is anybody else's
    sender       TEXT,                        -- the same by name
    qos          BIGINT NOT NULL,
    retain       BIGINT NOT NULL,
    content_type TEXT,
    properties   TEXT,                        -- a JSON object
    expires_at   BIGINT,
    ended_at     BIGINT,
    detail       TEXT,
    is_base64    BIGINT NOT NULL,             -- whether the payload is no text
    payload      TEXT NOT NULL
);

CREATE INDEX messages_by_topic ON messages (topic, id);
CREATE INDEX messages_by_device ON messages (device, id) WHERE device IS NOT NULL;
CREATE INDEX messages_by_account ON messages (account, id) WHERE account IS NOT NULL;
CREATE INDEX messages_by_state ON messages (state, id);
CREATE INDEX messages_sent ON messages (id) WHERE state <> 'received';

-- How many there are, and how many bytes they take, about.
CREATE TABLE messages_total (
    id    BIGINT PRIMARY KEY CHECK (id = 1),
    count BIGINT NOT NULL,
    bytes BIGINT NOT NULL
);
INSERT INTO messages_total VALUES (1, 0, 0);

-- Once a statement, for each change of the one row leaves a dead one behind.
CREATE FUNCTION messages_counted() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE sign BIGINT := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    UPDATE messages_total SET count = messages_total.count + sign * changed.count,
        bytes = messages_total.bytes + sign * changed.bytes
    FROM (
        SELECT count(*) AS count, coalesce(sum(200 + 2 * length(topic) + length(payload)
            + coalesce(length(properties), 0)), 0)::bigint AS bytes
        FROM changed_rows
    ) AS changed WHERE changed.count > 0;
    RETURN NULL;
END $$;

CREATE TRIGGER messages_added AFTER INSERT ON messages REFERENCING NEW TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION messages_counted();

CREATE TRIGGER messages_removed AFTER DELETE ON messages REFERENCING OLD TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION messages_counted();
