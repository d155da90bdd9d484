"""How much is kept, of what, and how dialogs ended: counters, so that no question needs a scan."""
