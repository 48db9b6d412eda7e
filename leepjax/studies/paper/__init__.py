"""The studies of the LEEP paper: a file per study, which reads like its paragraph."""
