"""Training, validating and calibrating detectors on a labelled set."""
