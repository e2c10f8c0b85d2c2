"""LPIPS of the inversion's reconstructions."""
