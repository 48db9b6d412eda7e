"""Measures that read features and class labels."""
