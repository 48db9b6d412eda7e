"""Data that is read batch by batch: what batches are, and sweeps over them that resume."""
