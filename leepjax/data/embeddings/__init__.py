"""Embeddings that exist already: their files, the ids of their rows, and the labels that they are ranked by."""
