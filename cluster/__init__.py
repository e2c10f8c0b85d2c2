"""Where it runs and where bytes go: executors and storage. Knows nothing of images or models."""
