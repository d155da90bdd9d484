"""The store on SQLite, in one file with a write-ahead log."""
