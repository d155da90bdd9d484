"""The Consentful server."""
