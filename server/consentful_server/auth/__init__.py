"""Authentication and scopes: API keys, tokens of an identity provider, or none (loopback only)."""
