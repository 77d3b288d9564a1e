-- PostgreSQL remembers here which batch of records each server wrote last.
-- SQLite's answers are not lost on any way.
SELECT 1;
