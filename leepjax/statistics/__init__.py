"""What measures read of the evidence: sums that add up over batches, devices and processes."""
