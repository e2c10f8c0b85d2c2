"""From a run's Parquet parts to the tidy summary: metrics with intervals, one module a question."""
