"""Signing: what is claimed, who signs, and how the signed file is written."""
