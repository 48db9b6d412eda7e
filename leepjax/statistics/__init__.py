"""Sufficient statistics of the evidence, mostly sums that can be added over batches, devices and processes."""
