-- Each picture has a thumbnail beside it, a file of so many bytes; NULL: it came
-- before there were any.
ALTER TABLE pictures ADD COLUMN thumbnail BIGINT;
