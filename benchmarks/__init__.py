"""Measuring detectors: suites and runs, statistics, reports, the audit of labelled sets, and how fast things are."""
