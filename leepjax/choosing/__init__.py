"""Which source to take: a race that passes more and more examples through fewer and fewer sources."""
