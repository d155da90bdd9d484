-- Labels, notes and review status of dialogs and messages, sealed under the dialog's key; erased with the dialog.
CREATE TABLE annotations (
    dialog INTEGER NOT NULL,
    seq INTEGER NOT NULL,            -- of the message; 0: the dialog as a whole
    annotator TEXT NOT NULL,            -- the credential
    sealed BLOB NOT NULL,
    PRIMARY KEY (dialog, seq, annotator)
) STRICT;

-- What filters compare: keyed hashes of labels, status and annotator.
CREATE TABLE annotation_terms (
    term TEXT NOT NULL,
    dialog INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    annotator TEXT NOT NULL,
    PRIMARY KEY (term, dialog, seq, annotator)
) STRICT, WITHOUT ROWID;
CREATE INDEX annotation_terms_by_dialog ON annotation_terms (dialog);
