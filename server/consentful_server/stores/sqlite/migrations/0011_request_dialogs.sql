-- Which dialogs were erased for a privacy request. Before, only its signed report listed them.
CREATE TABLE privacy_request_dialogs (
    request TEXT NOT NULL,
    dialog_id TEXT NOT NULL,
    PRIMARY KEY (request, dialog_id)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO privacy_request_dialogs
    SELECT r.id, d.value FROM privacy_requests r JOIN json_each(jws_claims(r.report), '$.dialogs') d
    WHERE r.kind = 'erasure' AND r.report IS NOT NULL;
