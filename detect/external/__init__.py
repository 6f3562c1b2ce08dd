"""Detectors that run elsewhere: an HTTP service, a command, a table of scores, a plugin in its own process."""
