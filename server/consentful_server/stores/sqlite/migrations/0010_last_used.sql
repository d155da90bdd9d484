-- When an API key was last used, to the minute: an unused key can be revoked. Microseconds since the epoch.
ALTER TABLE credentials ADD COLUMN last_used_at INTEGER;
