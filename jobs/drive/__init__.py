"""The loop that runs a plan, and what it leaves: status, summary, report."""
