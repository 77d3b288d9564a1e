-- That a command was issued is an event too, in the transaction that has it on
-- record: before it can leave. One that is refused at once has its end alone.
CREATE TRIGGER command_issued AFTER INSERT ON commands WHEN NEW.ended_at IS NULL
BEGIN
    INSERT INTO events (at, kind, actor, through, address, device, command, action, result)
    VALUES (NEW.issued_at, 'command', NEW.issuer, coalesce(NEW.through, 'server'), NEW.address,
        NEW.device, NEW.id, NEW.verb, NEW.status);
END;
