"""Commands that are clients of a running service, over REST and WebSocket. They do not open the store."""
