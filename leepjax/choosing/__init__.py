"""Choose a source by a race, which passes more and more examples through fewer and fewer sources."""
