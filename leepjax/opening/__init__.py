"""What a caller names, opened and checked: sources and targets."""
