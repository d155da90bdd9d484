-- Lists of dialogs by their number of messages.
CREATE INDEX dialogs_by_length ON dialogs (messages, received_at, id);
