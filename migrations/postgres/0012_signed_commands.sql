-- Devices whose commands are signed. The key is made of this, the device's id
-- and the server's own key, which is not in the database.
ALTER TABLE device_credentials ADD COLUMN generation BYTEA; -- 16 random bytes; NULL: its commands are not signed

-- The numbers that signed commands have had: this one may be used up, and
-- every one below it; those above were never used.
CREATE TABLE command_counter (
    id       BIGINT PRIMARY KEY CHECK (id = 1),
    reserved BIGINT NOT NULL
);
