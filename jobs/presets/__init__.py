"""Shipped specs: audits that a user can print and copy, and the training specs of the shipped weights."""
