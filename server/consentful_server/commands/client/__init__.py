"""Commands that ask a running service over REST, as any client does; they know no store."""
