-- Privacy requests (GDPR art. 15, 17, 20) and their outcomes, without the customer or the pseudonym.
CREATE TABLE privacy_requests (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    dialogs INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    report TEXT,                     -- JWS over an erasure's verification
    repeat_key BLOB                  -- hash of the Idempotency-Key and the credential
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX privacy_requests_by_repeat ON privacy_requests (repeat_key, received_at);
