"""How what is kept is read: as pages, and as streams of all of it."""
