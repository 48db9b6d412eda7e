"""Evidence read in batches, and resumable passes over the batches."""
