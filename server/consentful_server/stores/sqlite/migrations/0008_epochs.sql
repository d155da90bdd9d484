-- The epochs of the master key. Times are microseconds since the epoch, UTC.
CREATE TABLE epochs (
    number INTEGER PRIMARY KEY,
    begun_at INTEGER NOT NULL,       -- from then on no key is kept under an earlier master
    emptied_at INTEGER,              -- from then on its master opens nothing here, and may be gone
    destroyed_at INTEGER             -- its master is gone, so earlier copies of its keys open nowhere
) STRICT;

-- Until all masters up to this epoch are gone, an earlier copy of an erased key may open somewhere.
ALTER TABLE tombstones ADD COLUMN epoch INTEGER;
UPDATE tombstones SET epoch = 1 WHERE number IS NOT NULL;
CREATE INDEX tombstones_by_epoch ON tombstones (epoch) WHERE epoch IS NOT NULL;
ALTER TABLE privacy_requests ADD COLUMN epoch INTEGER;
UPDATE privacy_requests SET epoch = 1 WHERE kind = 'erasure';
