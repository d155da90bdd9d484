-- The epochs of the master key. Times are microseconds since the epoch, UTC.
CREATE TABLE epochs (
    number INTEGER PRIMARY KEY,
    begun_at INTEGER NOT NULL,       -- from then on no key is stored under an earlier master
    emptied_at INTEGER,              -- from then on its master opens nothing here, and may be destroyed
    destroyed_at INTEGER             -- its master is destroyed, so earlier copies of its keys open nowhere
) STRICT;

-- Until all masters up to this epoch are destroyed, an earlier copy of an erased key could be opened.
ALTER TABLE tombstones ADD COLUMN epoch INTEGER;
UPDATE tombstones SET epoch = 1 WHERE number IS NOT NULL;
CREATE INDEX tombstones_by_epoch ON tombstones (epoch) WHERE epoch IS NOT NULL;
ALTER TABLE privacy_requests ADD COLUMN epoch INTEGER;
UPDATE privacy_requests SET epoch = 1 WHERE kind = 'erasure';
