-- A dialog that was never stored can be retracted: this grant fails, nobody else's. The mark is a keyed hash of the
-- dialog's id, the credential and the customer. Until now a retraction was a tombstone, which blocked the id for all.
CREATE TABLE retractions (
    dialog_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    mark BLOB NOT NULL,              -- empty: of every customer of the owner, because the customer is not known
    retracted_at INTEGER NOT NULL,   -- microseconds since the epoch
    PRIMARY KEY (dialog_id, owner, mark)
) STRICT, WITHOUT ROWID;
INSERT INTO retractions SELECT dialog_id, owner, x'', erased_at FROM tombstones WHERE number IS NULL;
DELETE FROM tombstones WHERE number IS NULL;
