"""Checks of what measures are given: shapes, ranges, and values where they can be seen."""
