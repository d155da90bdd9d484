"""Routes, one module for each noun of the URL."""
