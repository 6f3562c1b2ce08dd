"""Media files: opening, decoding in a limited process, sampling and writing."""
