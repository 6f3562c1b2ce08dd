"""Detectors of generated faces: how one is named, loaded, run and calibrated, how its scores are explained, and how one is trained."""
