"""The report: verdicts in words, tables and figures on one self-contained page."""
