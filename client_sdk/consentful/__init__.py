"""Consentful for chatbots."""
