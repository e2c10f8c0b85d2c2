"""Shipped specs: audits to print and copy, and the training specs of the shipped weights."""
