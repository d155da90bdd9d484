-- Exports, one for each stream. The access log lists their dialogs. Times are microseconds since the epoch.
CREATE TABLE exports (
    id TEXT PRIMARY KEY,
    who TEXT NOT NULL,
    shape TEXT NOT NULL,
    media TEXT NOT NULL,
    place INTEGER NOT NULL,          -- of the feed of erasures when the export began
    rows INTEGER NOT NULL,
    size INTEGER NOT NULL,           -- bytes
    sha256 BLOB NOT NULL,
    complete INTEGER NOT NULL,
    damaged INTEGER NOT NULL         -- dialogs that could not be opened
) STRICT, WITHOUT ROWID;
CREATE INDEX access_log_by_subject ON access_log (subject) WHERE subject IS NOT NULL;

-- The feed of erasures (GDPR art. 19), in commit order. AUTOINCREMENT: a place is never used twice.
CREATE TABLE erasures (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    dialog_id TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO erasures (dialog_id) SELECT dialog_id FROM tombstones WHERE number IS NOT NULL ORDER BY erased_at, number;

-- How far each recipient has read the feed.
CREATE TABLE feed_readers (
    who TEXT PRIMARY KEY,
    place INTEGER NOT NULL,
    read_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
