"""What plugin authors get for testing: simulated remotes and, later, the contract kits.

Nothing here imports flows, store, web or the command line.
"""
