-- What GDPR art. 13 asks a notice to tell beside its words, for machines and receipts: JSON, what is left out is as usual.
ALTER TABLE notices ADD COLUMN terms TEXT NOT NULL DEFAULT '{}';
