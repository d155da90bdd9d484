-- Filter values that end with an epoch: words, customers, dialogs, chatbots, languages. A row stays until then, and is
-- overwritten at equal length if its values are erased earlier. Other values last; they are in `access_values`.
CREATE TABLE ending_values (
    number INTEGER PRIMARY KEY,      -- of the entry
    epoch INTEGER NOT NULL,
    customer TEXT,                   -- pseudonym
    sealed BLOB NOT NULL
) STRICT;
CREATE INDEX ending_values_by_customer ON ending_values (customer) WHERE customer IS NOT NULL;
CREATE INDEX ending_values_by_epoch ON ending_values (epoch);

-- Earlier versions sealed all values under a key that never ends. The entries keep the names and the commitments.
DELETE FROM access_values WHERE number IN (
    SELECT number FROM access_log WHERE ',' || filters || ',' LIKE '%,q,%' OR ',' || filters || ',' LIKE '%,customer,%'
        OR ',' || filters || ',' LIKE '%,dialog_id,%' OR ',' || filters || ',' LIKE '%,bot,%'
        OR ',' || filters || ',' LIKE '%,language,%'
);
DROP INDEX access_values_by_customer;
ALTER TABLE access_values DROP COLUMN customer;
