"""Consent: notices, the consent record, its receipt, and the languages of all of them."""
