"""The studies of the LEEP paper: one file per study, which follows the paper's description."""
