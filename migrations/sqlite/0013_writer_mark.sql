-- PostgreSQL remembers here which batch of records was written last. SQLite's
-- answers are not lost on any way.
SELECT 1;
