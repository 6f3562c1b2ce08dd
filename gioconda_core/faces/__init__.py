"""Faces in a clip: finding, following, landmarks, alignment and quality."""
