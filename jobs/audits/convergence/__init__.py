"""Each estimator again, with one setting doubled or with other seeds."""
