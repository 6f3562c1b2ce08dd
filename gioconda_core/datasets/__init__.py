"""Labelled sets: the index, the layouts that others publish, and which samples belong together."""
