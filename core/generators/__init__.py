"""Generators: the protocol that every audited model follows, and our own architectures."""
