-- Counters keep no label of what was erased, or was never consented to: rows of zeros go, and outcomes name a chatbot
-- only while a stored dialog does.
CREATE INDEX dialog_counts_by_bot ON dialog_counts (bot);
DELETE FROM dialog_counts WHERE dialogs = 0;
DELETE FROM message_counts WHERE messages = 0;
INSERT INTO outcome_counts
    SELECT day, '', sum(granted), sum(declined), sum(dropped) FROM outcome_counts
    WHERE bot != '' AND bot NOT IN (SELECT bot FROM dialog_counts) GROUP BY day
    ON CONFLICT DO UPDATE SET granted = granted + excluded.granted, declined = declined + excluded.declined,
        dropped = dropped + excluded.dropped;
DELETE FROM outcome_counts WHERE bot != '' AND bot NOT IN (SELECT bot FROM dialog_counts);
