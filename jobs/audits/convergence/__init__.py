"""Each estimator again with one setting doubled."""
