"""The observation variance, fitted to reconstructed training images."""
