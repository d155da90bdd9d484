-- When an API key was last used, to the minute: a key that nobody uses can be revoked. Microseconds since the epoch.
ALTER TABLE credentials ADD COLUMN last_used_at INTEGER;
