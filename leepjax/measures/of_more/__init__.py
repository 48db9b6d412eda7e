"""Measures that read something else: several sources, labels of other kinds, source data, or the card alone."""
