"""Tests and intervals over per-image results: numpy arrays in, estimates out."""
