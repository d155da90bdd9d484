"""Secrets and what is done with them: root keys, one key for each dialog, signatures, pseudonyms, rotation."""
