-- Who asked for a command, through what and from where; for the audit alone.
ALTER TABLE commands ADD COLUMN through TEXT;
ALTER TABLE commands ADD COLUMN address TEXT;

-- What happened, who did it, and what was refused: rows are added, each with
-- the next number, and stay as they are. Times are milliseconds since 1970, UTC.
CREATE TABLE events (
    seq     BIGINT PRIMARY KEY,           -- without gaps
    at      BIGINT NOT NULL,
    kind    TEXT NOT NULL,
    actor   TEXT NOT NULL,                -- app:<name>, device:<id>, plugin:<name>, operator, server, nobody
    through TEXT NOT NULL,
    address TEXT,
    device  TEXT,
    command TEXT,
    action  TEXT NOT NULL,
    result  TEXT NOT NULL,
    detail  TEXT,
    times   BIGINT NOT NULL DEFAULT 1     -- how often, where equal ones were gathered
);

CREATE INDEX events_of_device ON events (device, seq) WHERE device IS NOT NULL;
CREATE INDEX events_of_actor ON events (actor, seq);

CREATE FUNCTION milliseconds_now() RETURNS BIGINT LANGUAGE sql VOLATILE AS
$$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

-- Whoever adds events has its turn until its transaction ends: the next one
-- sees what the one before has added, and goes on from there. The numbers of
-- the turn are those of src/database/postgres.rs, with one of its own.
CREATE FUNCTION events_follow_each_other() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE next BIGINT;
BEGIN
    PERFORM pg_advisory_xact_lock(1279349571, 2);
    SELECT coalesce(max(seq), 0) + 1 INTO next FROM events;
    IF NEW.seq IS NOT NULL AND NEW.seq <> next THEN
        RAISE EXCEPTION 'an event has the number after the last one';
    END IF;
    NEW.seq := next;
    RETURN NEW;
END $$;
CREATE TRIGGER events_follow_each_other BEFORE INSERT ON events
FOR EACH ROW EXECUTE FUNCTION events_follow_each_other();

CREATE FUNCTION refused() RETURNS TRIGGER LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '%', TG_ARGV[0]; END $$;

CREATE TRIGGER events_stay_as_they_are BEFORE UPDATE ON events
FOR EACH ROW EXECUTE FUNCTION refused('events are never changed');

CREATE TRIGGER events_are_not_emptied BEFORE TRUNCATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION refused('events are kept');

-- From which event on they are kept. It moves forward only, over what is older
-- than `age_ms`, or beyond the newest `most` and no longer of the last hour;
-- and the record tells of each of its steps.
CREATE TABLE events_kept (
    id       BIGINT PRIMARY KEY CHECK (id = 1),
    from_seq BIGINT NOT NULL,
    age_ms   BIGINT NOT NULL CHECK (age_ms >= 86400000),
    most     BIGINT NOT NULL CHECK (most >= 1000)
);
INSERT INTO events_kept VALUES (1, 1, 86400000, 1000);

CREATE FUNCTION events_are_kept() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(OLD.seq < (SELECT from_seq FROM events_kept), FALSE) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'events are kept';
END $$;
CREATE TRIGGER events_are_kept BEFORE DELETE ON events
FOR EACH ROW EXECUTE FUNCTION events_are_kept();

CREATE TRIGGER events_kept_is_one_row BEFORE INSERT ON events_kept
FOR EACH ROW EXECUTE FUNCTION refused('there is one mark');

CREATE TRIGGER events_kept_stays BEFORE DELETE ON events_kept
FOR EACH ROW EXECUTE FUNCTION refused('the mark stays');

CREATE TRIGGER events_kept_is_not_emptied BEFORE TRUNCATE ON events_kept
FOR EACH STATEMENT EXECUTE FUNCTION refused('the mark stays');

CREATE FUNCTION events_kept_moves_forward() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    newest BIGINT;
    age BIGINT;
BEGIN
    -- No event comes in between what is looked at and what is done.
    PERFORM pg_advisory_xact_lock(1279349571, 2);
    SELECT coalesce(max(seq), 0) INTO newest FROM events;
    IF NEW.id <> 1 OR NEW.from_seq <= OLD.from_seq OR NEW.from_seq > newest THEN
        RAISE EXCEPTION 'the mark moves forward, and not past the newest event';
    END IF;
    age := CASE WHEN newest - NEW.from_seq + 1 >= NEW.most THEN 3600000 ELSE NEW.age_ms END;
    IF EXISTS (
        SELECT 1 FROM events WHERE seq >= OLD.from_seq AND seq < NEW.from_seq
        AND at >= milliseconds_now() - age
    ) THEN
        RAISE EXCEPTION 'the mark moves over what is not kept any longer';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER events_kept_moves_forward BEFORE UPDATE ON events_kept
FOR EACH ROW EXECUTE FUNCTION events_kept_moves_forward();

CREATE FUNCTION events_kept_is_told() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events (at, kind, actor, through, action, result, detail, times)
    SELECT milliseconds_now(), 'record', 'server', 'server', 'remove', 'ok',
        format('events %s to %s, the last of %s: kept are %s days and %s events', OLD.from_seq,
            NEW.from_seq - 1,
            to_char(to_timestamp(at / 1000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            NEW.age_ms / 86400000, NEW.most),
        NEW.from_seq - OLD.from_seq
    FROM events WHERE seq = NEW.from_seq - 1;
    RETURN NULL;
END $$;
CREATE TRIGGER events_kept_is_told AFTER UPDATE ON events_kept
FOR EACH ROW EXECUTE FUNCTION events_kept_is_told();

-- The end of a command is an event in the same transaction, whoever writes it.
CREATE FUNCTION command_ended() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events (at, kind, actor, through, address, device, command, action, result, detail)
    VALUES (NEW.ended_at, 'command', NEW.issuer, coalesce(NEW.through, 'server'), NEW.address,
        NEW.device, NEW.id, NEW.verb, NEW.status, NEW.detail);
    RETURN NULL;
END $$;

CREATE TRIGGER command_refused AFTER INSERT ON commands
FOR EACH ROW WHEN (NEW.ended_at IS NOT NULL) EXECUTE FUNCTION command_ended();

CREATE TRIGGER command_ended AFTER UPDATE OF ended_at ON commands
FOR EACH ROW WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL)
EXECUTE FUNCTION command_ended();
