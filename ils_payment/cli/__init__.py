"""The command line: one file for each group, imported when it is called."""
