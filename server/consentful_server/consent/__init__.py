"""What was agreed to: notices, the consent record, its receipt; and the languages that all of them are in."""
