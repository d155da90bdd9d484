"""Copies that are handed out: in which formats, to whom, and the feed that tells them what was erased since."""
