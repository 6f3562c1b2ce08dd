"""What a benchmark makes of scores: the score table, comparisons of detectors, and shortcut probes."""
