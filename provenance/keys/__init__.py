"""Signing keys and certificate chains: making, storing, showing and renewing them."""
