"""Is what the generator makes as diverse as the data? Seen through classifiers."""
