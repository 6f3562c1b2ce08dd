"""From a clip to calibrated readings: observing faces, guarding detectors, scores, calibration, and explanation."""
