"""Running a benchmark: suites, degradations, folds, and one row a clip and detector."""
