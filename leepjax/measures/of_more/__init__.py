"""Measures with other input: several sources, labels of other kinds, the source's data, or only its card."""
