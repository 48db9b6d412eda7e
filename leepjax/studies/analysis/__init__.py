"""From the outcomes of studies to settings, correlations and levels."""
