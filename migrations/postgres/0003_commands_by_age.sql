-- Commands that have ended are kept for a while only, and so many of them.
CREATE INDEX commands_by_age ON commands (ended_at) WHERE ended_at IS NOT NULL;
