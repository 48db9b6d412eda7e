"""Adapt a source to a target, and save the resulting network as a source."""
