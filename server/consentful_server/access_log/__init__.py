"""Who read, exported, erased or changed what, and when: a log that only grows (GDPR art. 32, 33)."""
