"""Keys: the root keys, one key for each dialog, pseudonyms, signatures, and the rotation of the master key."""
