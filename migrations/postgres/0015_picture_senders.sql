-- Who sent each picture: the camera itself (device:porch), or an app in its place
-- (app:nvr). NULL: it came before this was noted.
ALTER TABLE pictures ADD COLUMN sender TEXT;
