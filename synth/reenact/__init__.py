"""Reenactment: a person's shots moved by a driver's landmarks."""
