"""How near the manifold is to each image."""
