"""Stored dialogs: sealed when they are granted, opened for readers, erased for good."""
