"""What is wrong with which class, by all audits at once."""
