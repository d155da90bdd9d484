"""Limits for each client: rates, live dialogs, attempts at withdrawal codes."""
