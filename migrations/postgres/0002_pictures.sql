-- What cameras saw. The bytes are files in the data folder, named by the id.
-- Times are milliseconds since 1970, UTC.
CREATE TABLE pictures (
    seq         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- the order of arrival
    id          TEXT NOT NULL UNIQUE,               -- random, not to be guessed
    device      TEXT,                               -- NULL: an app uploaded it
    name        TEXT,                               -- what the uploader calls it
    media_type  TEXT NOT NULL,
    width       BIGINT NOT NULL,
    height      BIGINT NOT NULL,
    size        BIGINT NOT NULL,                   -- of the file, in bytes
    received_at BIGINT NOT NULL,
    stranger_at BIGINT                             -- when it was said to show a stranger
);

CREATE INDEX pictures_of_device ON pictures (device, seq);
CREATE INDEX pictures_of_strangers ON pictures (stranger_at, seq) WHERE stranger_at IS NOT NULL;
