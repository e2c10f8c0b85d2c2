"""Numerics on tensors and arrays: no Ray, no files, no network, no global state."""
