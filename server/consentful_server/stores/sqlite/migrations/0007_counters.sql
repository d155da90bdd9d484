-- Counts of stored data, changed in the transactions that store and erase it: statistics need no scan. '' means none.
CREATE TABLE dialog_counts (
    day TEXT NOT NULL,               -- when it was stored, UTC
    language TEXT NOT NULL,
    bot TEXT NOT NULL,
    purposes TEXT NOT NULL,          -- JSON array
    length INTEGER NOT NULL,         -- the least number of messages in its length class
    dialogs INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    PRIMARY KEY (day, language, bot, purposes, length)
) STRICT, WITHOUT ROWID;
INSERT INTO dialog_counts
    SELECT date(stored_at / 1000000, 'unixepoch'), coalesce(language, ''), coalesce(bot, ''), purposes,
        CASE WHEN messages > 50 THEN 51 WHEN messages > 20 THEN 21 WHEN messages > 10 THEN 11 WHEN messages > 5 THEN 6
            WHEN messages > 2 THEN 3 ELSE 1 END AS class,
        count(*), sum(messages)
    FROM dialogs GROUP BY 1, 2, 3, 4, 5;

CREATE TABLE message_counts (
    day TEXT NOT NULL,
    language TEXT NOT NULL,          -- of the message
    bot TEXT NOT NULL,
    role TEXT NOT NULL,
    purposes TEXT NOT NULL,
    length INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    PRIMARY KEY (day, language, bot, role, purposes, length)
) STRICT, WITHOUT ROWID;
INSERT INTO message_counts
    SELECT date(d.stored_at / 1000000, 'unixepoch'), coalesce(m.language, ''), coalesce(d.bot, ''), m.role, d.purposes,
        CASE WHEN d.messages > 50 THEN 51 WHEN d.messages > 20 THEN 21 WHEN d.messages > 10 THEN 11 WHEN d.messages > 5 THEN 6
            WHEN d.messages > 2 THEN 3 ELSE 1 END AS class,
        count(*)
    FROM messages m JOIN dialogs d ON d.id = m.dialog GROUP BY 1, 2, 3, 4, 5, 6;

-- How dialogs ended; most of them leave no other trace.
CREATE TABLE outcome_counts (
    day TEXT NOT NULL,
    bot TEXT NOT NULL,
    granted INTEGER NOT NULL,
    declined INTEGER NOT NULL,
    dropped INTEGER NOT NULL,
    PRIMARY KEY (day, bot)
) STRICT, WITHOUT ROWID;
