"""Published generators: how each family's checkpoint becomes one of our architectures."""
