"""Talking heads drawn from seeds, with exact landmarks: the material of tests and of the demo."""
