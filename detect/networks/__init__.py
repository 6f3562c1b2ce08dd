"""Detectors that are neural networks, trained here or brought as ONNX."""
