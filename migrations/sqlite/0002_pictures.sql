-- What cameras saw. The bytes are files in the data folder, named by the id.
-- Times are milliseconds since 1970, UTC.
CREATE TABLE pictures (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of arrival
    id          TEXT NOT NULL UNIQUE,               -- random, not to be guessed
    device      TEXT,                               -- NULL: an app uploaded it
    name        TEXT,                               -- what the uploader calls it
    media_type  TEXT NOT NULL,
    width       INTEGER NOT NULL,
    height      INTEGER NOT NULL,
    size        INTEGER NOT NULL,                   -- of the file, in bytes
    received_at INTEGER NOT NULL,
    stranger_at INTEGER                             -- when it was said to show a stranger
);

CREATE INDEX pictures_of_device ON pictures (device, seq);
CREATE INDEX pictures_of_strangers ON pictures (stranger_at, seq) WHERE stranger_at IS NOT NULL;
