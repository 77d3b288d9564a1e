-- That a command was issued is an event too, in the transaction that has it on
-- record: before it can leave. One that is refused at once has its end alone.
CREATE FUNCTION command_issued() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events (at, kind, actor, through, address, device, command, action, result)
    VALUES (NEW.issued_at, 'command', NEW.issuer, coalesce(NEW.through, 'server'), NEW.address,
        NEW.device, NEW.id, NEW.verb, NEW.status);
    RETURN NULL;
END $$;

CREATE TRIGGER command_issued AFTER INSERT ON commands
FOR EACH ROW WHEN (NEW.ended_at IS NULL) EXECUTE FUNCTION command_issued();
