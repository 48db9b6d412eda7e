"""Embeddings that were computed elsewhere: their files, the ids of their rows, and the labels they are ranked by."""
