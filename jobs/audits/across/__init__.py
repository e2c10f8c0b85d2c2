"""What is asked across several audits' tables."""
