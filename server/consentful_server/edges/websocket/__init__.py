"""The live dialog over a WebSocket: from the upgrade to the close frame."""
