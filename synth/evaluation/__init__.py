"""Measuring a generator: image similarity, identity and perceptual distances on held-out people."""
