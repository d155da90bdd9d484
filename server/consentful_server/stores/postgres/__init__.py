"""The store on PostgreSQL, for several machines; it needs the extra `postgres`."""
