"""Trust lists, and what asks the network when it is told to."""
