"""Background runs: the store, which alone holds their state, the launcher, and the worker."""
