"""Measures that read probabilities of source classes and class labels, LEEP first."""
