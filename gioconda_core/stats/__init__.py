"""Statistics that every package uses: metrics and the clustered bootstrap."""
