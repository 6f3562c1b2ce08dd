"""Families of fakes made from a real clip: the same person, frames and length, so that only the making differs."""
