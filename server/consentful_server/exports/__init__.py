"""Exports: copies that recipients get, their formats and manifests, and the feed of erasures."""
