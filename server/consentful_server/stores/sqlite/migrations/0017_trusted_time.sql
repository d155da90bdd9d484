-- The last time at which the server trusted its clock, in microseconds since the epoch: one row, or none yet.
CREATE TABLE trusted_time (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    at INTEGER NOT NULL
) STRICT;
INSERT INTO trusted_time SELECT 1, at FROM (
    SELECT max(at) AS at FROM (
        SELECT max(stored_at) AS at FROM dialogs UNION ALL SELECT max(erased_at) FROM tombstones
        UNION ALL SELECT max(at) FROM access_log UNION ALL SELECT max(begun_at) FROM epochs
    )
) WHERE at IS NOT NULL;
