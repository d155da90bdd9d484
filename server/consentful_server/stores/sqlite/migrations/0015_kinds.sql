-- A kind is the combination of what filters ask of a message, apart from its customer and its time: a deployment has few
-- of them. Each page of a filter joins the kinds that match, from an index in the order of the page. '' means none.
CREATE TABLE kinds (
    id INTEGER PRIMARY KEY,
    bot TEXT NOT NULL,
    purposes TEXT NOT NULL,          -- JSON array
    role TEXT NOT NULL,
    language TEXT NOT NULL,          -- of the message
    UNIQUE (bot, purposes, role, language)
) STRICT;
INSERT INTO kinds (bot, purposes, role, language)
    SELECT DISTINCT coalesce(d.bot, ''), d.purposes, m.role, coalesce(m.language, '')
    FROM messages m JOIN dialogs d ON d.id = m.dialog;

ALTER TABLE messages ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN customer INTEGER NOT NULL DEFAULT 0; -- 31 bits of a digest of the pseudonym
UPDATE messages SET (kind, customer) = (
    SELECT k.id, customer_key(d.customer) FROM dialogs d JOIN kinds k ON k.bot = coalesce(d.bot, '')
        AND k.purposes = d.purposes AND k.role = messages.role AND k.language = coalesce(messages.language, '')
    WHERE d.id = messages.dialog
);
CREATE INDEX messages_by_kind ON messages (kind, received_at, dialog, seq);
CREATE INDEX messages_by_customer ON messages (customer, received_at, dialog, seq);

-- Which kinds of messages a dialog has, for lists of dialogs and for commit order.
CREATE TABLE dialog_kinds (
    kind INTEGER NOT NULL,
    dialog INTEGER NOT NULL,
    received_at INTEGER NOT NULL,    -- of the dialog
    PRIMARY KEY (kind, dialog)
) STRICT, WITHOUT ROWID;
INSERT INTO dialog_kinds
    SELECT DISTINCT m.kind, m.dialog, d.received_at FROM messages m JOIN dialogs d ON d.id = m.dialog;
CREATE INDEX dialog_kinds_by_receipt ON dialog_kinds (kind, received_at, dialog);
CREATE INDEX dialogs_by_customer_and_receipt ON dialogs (customer, received_at, id);

-- When the messages of each 1,000 dialogs were received, so that commit order finds a time without a scan.
CREATE TABLE dialog_times (
    block INTEGER PRIMARY KEY,       -- the dialogs' numbers divided by 1,000
    earliest INTEGER NOT NULL,
    latest INTEGER NOT NULL
) STRICT;
INSERT INTO dialog_times
    SELECT dialog / 1000, min(received_at), max(received_at) FROM messages GROUP BY 1;
