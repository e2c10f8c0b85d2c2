"""The model's own samples in the place of the data."""
