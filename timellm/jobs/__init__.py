"""Background runs: the store that is the one truth about them, the launcher, and the worker."""
