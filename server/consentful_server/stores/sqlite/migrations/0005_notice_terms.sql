-- The information of GDPR art. 13 beside the notice's text, for machines and receipts: JSON; absent members are default.
ALTER TABLE notices ADD COLUMN terms TEXT NOT NULL DEFAULT '{}';
