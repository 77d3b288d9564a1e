-- Which batch of records each server wrote last, in the same transaction as that
-- batch: one whose answer was lost is not written twice, and neither is what
-- comes back with a server's backup. A server that takes over meanwhile has a
-- mark of its own.
CREATE TABLE writer_marks (
    writer TEXT COLLATE "C" PRIMARY KEY,
    batch  TEXT NOT NULL
);
INSERT INTO writer_marks SELECT '', batch FROM writer_mark;
DROP TABLE writer_mark;
