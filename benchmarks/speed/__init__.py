"""Speed benchmarks: each measures its arms by :mod:`benchmarks.speed.arms`."""
