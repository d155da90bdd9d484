"""Statistics: how much is stored, and how dialogs ended. Counters answer every question without a scan."""
