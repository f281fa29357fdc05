"""What plugin authors get for testing: simulated remotes, a world, and contracts to inherit from.

Nothing here imports flows, store, web or the command line.
"""
