"""Meta-transfer: adapt a frozen source to a task by one pass over its examples, as Simple CNAPs does."""
