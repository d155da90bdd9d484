"""HTTP: what every request goes through, and how requests and answers are written."""
