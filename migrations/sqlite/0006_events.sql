-- Who asked for a command, through what and from where; for the audit alone.
ALTER TABLE commands ADD COLUMN through TEXT;
ALTER TABLE commands ADD COLUMN address TEXT;

-- What happened, who did it, and what was refused: rows are added, each with
-- the next number, and stay as they are. Times are milliseconds since 1970, UTC.
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY,          -- without gaps
    at      INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    actor   TEXT NOT NULL,                -- app:<name>, device:<id>, plugin:<name>, operator, server, nobody
    through TEXT NOT NULL,
    address TEXT,
    device  TEXT,
    command TEXT,
    action  TEXT NOT NULL,
    result  TEXT NOT NULL,
    detail  TEXT,
    times   INTEGER NOT NULL DEFAULT 1    -- how often, where equal ones were gathered
);

CREATE INDEX events_of_device ON events (device) WHERE device IS NOT NULL;
CREATE INDEX events_of_actor ON events (actor);

-- INSERT OR REPLACE would delete without asking the trigger of DELETE.
CREATE TRIGGER events_replace_none BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'events are never replaced'); END;

CREATE TRIGGER events_follow_each_other AFTER INSERT ON events
WHEN NEW.seq <> (SELECT max(seq) FROM events)
    OR NEW.seq <> 1 AND NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq - 1)
BEGIN SELECT RAISE(ABORT, 'an event has the number after the last one'); END;

CREATE TRIGGER events_stay_as_they_are BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;

-- From which event on they are kept. It moves forward only, over what is older
-- than `age_ms`, or beyond the newest `most` and no longer of the last hour;
-- and the record tells of each of its steps.
CREATE TABLE events_kept (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    from_seq INTEGER NOT NULL,
    age_ms   INTEGER NOT NULL CHECK (age_ms >= 86400000),
    most     INTEGER NOT NULL CHECK (most >= 1000)
);
INSERT INTO events_kept VALUES (1, 1, 86400000, 1000);

CREATE TRIGGER events_are_kept BEFORE DELETE ON events
WHEN NOT coalesce(OLD.seq < (SELECT from_seq FROM events_kept), FALSE)
BEGIN SELECT RAISE(ABORT, 'events are kept'); END;

CREATE TRIGGER events_kept_is_one_row BEFORE INSERT ON events_kept
BEGIN SELECT RAISE(ABORT, 'there is one mark'); END;

CREATE TRIGGER events_kept_stays BEFORE DELETE ON events_kept
BEGIN SELECT RAISE(ABORT, 'the mark stays'); END;

CREATE TRIGGER events_kept_moves_forward BEFORE UPDATE ON events_kept
WHEN NEW.id <> 1 OR NEW.from_seq <= OLD.from_seq
    OR NEW.from_seq > coalesce((SELECT max(seq) FROM events), 0)
BEGIN SELECT RAISE(ABORT, 'the mark moves forward, and not past the newest event'); END;

CREATE TRIGGER events_kept_leaves_what_is_kept BEFORE UPDATE ON events_kept
WHEN EXISTS (
    SELECT 1 FROM events WHERE seq >= OLD.from_seq AND seq < NEW.from_seq
    AND at >= unixepoch() * 1000 - CASE
        WHEN (SELECT max(seq) FROM events) - NEW.from_seq + 1 >= NEW.most THEN 3600000
        ELSE NEW.age_ms END)
BEGIN SELECT RAISE(ABORT, 'the mark moves over what is not kept any longer'); END;

CREATE TRIGGER events_kept_is_told AFTER UPDATE ON events_kept
BEGIN
    INSERT INTO events (at, kind, actor, through, action, result, detail, times)
    SELECT unixepoch() * 1000, 'record', 'server', 'server', 'remove', 'ok',
        format('events %d to %d, the last of %s: kept are %d days and %d events', OLD.from_seq,
            NEW.from_seq - 1, strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch'),
            NEW.age_ms / 86400000, NEW.most),
        NEW.from_seq - OLD.from_seq
    FROM events WHERE seq = NEW.from_seq - 1;
END;

-- The end of a command is an event in the same transaction, whoever writes it.
CREATE TRIGGER command_refused AFTER INSERT ON commands WHEN NEW.ended_at IS NOT NULL
BEGIN
    INSERT INTO events (at, kind, actor, through, address, device, command, action, result, detail)
    VALUES (NEW.ended_at, 'command', NEW.issuer, coalesce(NEW.through, 'server'), NEW.address,
        NEW.device, NEW.id, NEW.verb, NEW.status, NEW.detail);
END;

CREATE TRIGGER command_ended AFTER UPDATE OF ended_at ON commands
WHEN OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL
BEGIN
    INSERT INTO events (at, kind, actor, through, address, device, command, action, result, detail)
    VALUES (NEW.ended_at, 'command', NEW.issuer, coalesce(NEW.through, 'server'), NEW.address,
        NEW.device, NEW.id, NEW.verb, NEW.status, NEW.detail);
END;
