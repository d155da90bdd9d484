"""What the law asks for: requests of customers, retention, the ledger of erasures, the record of processing."""
