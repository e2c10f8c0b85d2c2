"""What Python programs and notebooks call: the names at the package's root."""
