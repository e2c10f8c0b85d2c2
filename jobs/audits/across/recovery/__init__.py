"""Whether held-out images come back as training images do."""
