"""The same densities by the other estimator."""
