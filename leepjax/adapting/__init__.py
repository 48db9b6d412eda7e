"""Adapting a source to a target, and keeping the network that comes of it."""
