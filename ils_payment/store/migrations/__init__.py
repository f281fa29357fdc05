"""The scripts that bring a database to this version's schema."""

HEAD = "0006"
"""The revision this version needs; a test holds it against the scripts."""
