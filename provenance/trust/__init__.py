"""Trust lists, and everything that asks the network when it is told to."""
