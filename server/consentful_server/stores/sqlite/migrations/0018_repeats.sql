-- Idempotency keys are kept keyed, with a keyed digest of the body, and for 24 hours. Earlier ones were plain hashes.
ALTER TABLE privacy_requests ADD COLUMN repeat_body BLOB;
UPDATE privacy_requests SET repeat_key = NULL;
