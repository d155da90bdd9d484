-- Labels, notes and review status of dialogs and messages, sealed under the dialog's key; erased with the dialog.
CREATE TABLE annotations (
    dialog BIGINT NOT NULL,
    seq INT NOT NULL,                -- of the message; 0: the dialog as a whole
    annotator TEXT COLLATE "C" NOT NULL, -- the credential
    sealed BYTEA NOT NULL,
    PRIMARY KEY (dialog, seq, annotator)
);

-- What filters compare: keyed hashes of labels, status and annotator.
CREATE TABLE annotation_terms (
    term TEXT COLLATE "C" NOT NULL,
    dialog BIGINT NOT NULL,
    seq INT NOT NULL,
    annotator TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (term, dialog, seq, annotator)
);
CREATE INDEX annotation_terms_by_dialog ON annotation_terms (dialog);
