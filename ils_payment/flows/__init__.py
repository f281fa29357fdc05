"""One file for each journey, read top to bottom like a story."""
