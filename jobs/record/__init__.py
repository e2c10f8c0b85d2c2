"""What a run directory keeps besides its tables."""
