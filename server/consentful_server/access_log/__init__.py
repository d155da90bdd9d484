"""The access log: who read, exported, erased or changed what, and when. It is append-only (GDPR art. 32, 33)."""
