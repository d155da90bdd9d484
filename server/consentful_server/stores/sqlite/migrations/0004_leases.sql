-- Leases: which process does a piece of work that only one should do. Times are microseconds since the epoch, UTC.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
