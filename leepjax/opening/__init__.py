"""Open and check the sources and targets that a caller names."""
