"""Who may come in, and what for: API keys, tokens of an identity provider, or nobody is asked (loopback)."""
