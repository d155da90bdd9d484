-- Requests that an officer has received and not yet carried out: the officer's own reference, why a request was extended
-- or refused, and which open request another one answers.
ALTER TABLE privacy_requests ADD COLUMN reference TEXT;
ALTER TABLE privacy_requests ADD COLUMN extended_for TEXT;
ALTER TABLE privacy_requests ADD COLUMN refused_for TEXT;
ALTER TABLE privacy_requests ADD COLUMN answers TEXT;

-- How the dialogs ended that were shown a notice, in each of its languages: no dialog, no chatbot, no day.
CREATE TABLE notice_counts (
    notice TEXT NOT NULL,
    language TEXT NOT NULL,
    granted INTEGER NOT NULL,
    declined INTEGER NOT NULL,
    dropped INTEGER NOT NULL,
    PRIMARY KEY (notice, language)
) STRICT, WITHOUT ROWID;
