"""Measures of source class probabilities and target labels: LEEP and related ones."""
