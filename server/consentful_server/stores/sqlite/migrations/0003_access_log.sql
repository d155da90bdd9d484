-- The access log: who read, erased or changed what (GDPR art. 32, 33). Times are microseconds since the epoch, UTC.
CREATE TABLE access_log (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    request TEXT,
    subject TEXT,
    filters TEXT NOT NULL,           -- names, separated by commas
    commitment BLOB,                 -- binds the filters' values without revealing them
    rows INTEGER NOT NULL,
    dialogs BLOB,                    -- compressed bitmap of internal numbers
    link BLOB NOT NULL CHECK (length(link) = 32)
) STRICT;
CREATE INDEX access_log_by_who ON access_log (who, number);
CREATE INDEX access_log_by_time ON access_log (at);
CREATE TRIGGER access_log_stays BEFORE DELETE ON access_log BEGIN SELECT RAISE(ABORT, 'the access log only grows'); END;
CREATE TRIGGER access_log_holds BEFORE UPDATE ON access_log BEGIN SELECT RAISE(ABORT, 'the access log only grows'); END;

-- The filters' values, sealed; deleted with the customer whom they name.
CREATE TABLE access_values (
    number INTEGER PRIMARY KEY,
    customer TEXT,                   -- pseudonym
    sealed BLOB NOT NULL
) STRICT;
CREATE INDEX access_values_by_customer ON access_values (customer) WHERE customer IS NOT NULL;

-- The head of the chain: one row, with a MAC.
CREATE TABLE access_head (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    number INTEGER NOT NULL,
    link BLOB NOT NULL,
    seal BLOB NOT NULL
) STRICT;
INSERT INTO access_head VALUES (1, 0, zeroblob(32), x'');
