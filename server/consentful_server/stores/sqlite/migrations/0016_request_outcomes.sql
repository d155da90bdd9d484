-- The purposes that a request was limited to (JSON array; NULL: every dialog), and the ids of the dialogs that an
-- answer had to leave out because they are damaged (JSON array).
ALTER TABLE privacy_requests ADD COLUMN purposes TEXT;
ALTER TABLE privacy_requests ADD COLUMN damaged TEXT NOT NULL DEFAULT '[]';
