"""Densities under different classes."""
