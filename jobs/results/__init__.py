"""What a run leaves: its summary, verdicts and report, from the audits in order."""
