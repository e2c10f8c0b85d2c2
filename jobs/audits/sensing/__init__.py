"""Compressed sensing: does it restore images?"""
