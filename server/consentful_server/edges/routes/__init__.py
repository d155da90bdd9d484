"""Routes, a file for each noun of the URL."""
