"""Detectors that measure features of the face and judge them with a small fitted model."""
