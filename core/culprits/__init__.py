"""Generators that are wrong by construction, made from a user's images without training."""
