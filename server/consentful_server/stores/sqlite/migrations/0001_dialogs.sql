-- Facts about the database: the deployment's id, check values of its keys, the last probe. None is secret.
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Every wording that customers were ever shown, found again by its hash (GDPR art. 7(1)).
CREATE TABLE notices (
    notice TEXT NOT NULL,
    language TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    text TEXT NOT NULL,
    purposes TEXT NOT NULL,          -- JSON array
    controller TEXT NOT NULL,
    contact TEXT NOT NULL,
    retention_days INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    retired_at INTEGER,
    PRIMARY KEY (notice, language)
) STRICT, WITHOUT ROWID;
CREATE INDEX notices_by_hash ON notices (sha256);

-- One row for each dialog, with its consent record. AUTOINCREMENT: a number is never used twice, even after the last
-- dialog was erased, so a cursor in commit order never skips a dialog. Times are microseconds since the epoch, UTC.
CREATE TABLE dialogs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    dialog_id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    customer TEXT NOT NULL,          -- pseudonym
    language TEXT,
    bot TEXT,
    messages INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    channel TEXT NOT NULL,
    notice TEXT NOT NULL,
    notice_language TEXT NOT NULL,
    notice_sha256 TEXT NOT NULL,
    purposes TEXT NOT NULL,          -- JSON array
    given_by TEXT NOT NULL,
    decided_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    receipt TEXT NOT NULL,
    withdrawal_hash BLOB NOT NULL,
    content BLOB NOT NULL            -- keyed digest; meaningless without the dialog's key
) STRICT;
CREATE INDEX dialogs_by_receipt ON dialogs (received_at, id);
CREATE INDEX dialogs_by_customer ON dialogs (customer, id);
CREATE INDEX dialogs_by_expiry ON dialogs (expires_at);
CREATE UNIQUE INDEX dialogs_by_withdrawal ON dialogs (withdrawal_hash);

-- Rows are appended, and overwritten in place at equal length; they are never deleted or moved. The key of an erased
-- dialog is overwritten with zeros.
CREATE TABLE dialog_keys (
    dialog INTEGER PRIMARY KEY,
    wrapped BLOB NOT NULL CHECK (length(wrapped) = 64)
) STRICT;

CREATE TABLE seals (
    dialog INTEGER PRIMARY KEY,
    customer BLOB NOT NULL,
    metadata BLOB,
    texts BLOB NOT NULL              -- all texts of the dialog, sealed together
) STRICT;

CREATE TABLE messages (
    dialog INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    role TEXT NOT NULL,
    language TEXT,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (dialog, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_by_receipt ON messages (received_at, dialog, seq);

-- The remains of an erased dialog (GDPR art. 7(1), 17(3)(e)), and the id of a retracted one, which it blocks.
CREATE TABLE tombstones (
    dialog_id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    reason TEXT NOT NULL,
    erased_at INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    decided_at INTEGER,
    stored_at INTEGER,
    notice_sha256 TEXT,
    purposes TEXT NOT NULL,
    receipt_sha256 BLOB,
    number INTEGER,                  -- of the overwritten row in dialog_keys
    withdrawal_hash BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_by_withdrawal ON tombstones (withdrawal_hash) WHERE withdrawal_hash IS NOT NULL;

CREATE TABLE credentials (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    hash BLOB NOT NULL,
    scopes TEXT NOT NULL,            -- JSON array
    purposes TEXT,                   -- JSON array, or NULL for every purpose
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
