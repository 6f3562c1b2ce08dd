"""Work on many files or on labels: signing and verifying in batches, reading labels, stripping credentials."""
