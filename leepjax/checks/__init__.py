"""Checks of the arguments of measures: shapes, ranges, and values where they are known."""
