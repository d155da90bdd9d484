"""Reading stored data: page by page, and as streams of everything that matches."""
