"""The nearest images of a reference set: the baseline."""
