"""What was asked: the audit's spec, how it is read, and the facts of what it names."""
