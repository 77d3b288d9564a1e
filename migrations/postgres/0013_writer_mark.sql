-- Which batch of records was written last, in the same transaction as that
-- batch: one whose answer was lost is not written twice.
CREATE TABLE writer_mark (
    id    BIGINT PRIMARY KEY CHECK (id = 1),
    batch TEXT NOT NULL
);
INSERT INTO writer_mark VALUES (1, '');
