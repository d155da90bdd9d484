"""Dialogs that are not decided yet: their rules and deadlines, and what holds them in memory until then."""
