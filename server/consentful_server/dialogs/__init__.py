"""What is being said now: the rules of a live dialog, its deadlines, and who holds which dialog in this process."""
