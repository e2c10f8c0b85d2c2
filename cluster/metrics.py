"""Ray metrics of a run, for whoever scrapes the cluster."""

from ray.util.metrics import Counter

from .executor import Report


class ShardCounters:
    """What finished shards brought."""

    def __init__(self) -> None:
        self._rows = Counter("offmanifold_rows", "Rows of finished shards.")
        self._failed = Counter("offmanifold_failed_rows", "Rows whose item failed.")

    def add(self, report: Report) -> None:
        """Count a finished shard, unless another run's writer was first."""
        if report.published and report.rows:
            self._rows.inc(report.rows)
        if report.published and report.failed:
            self._failed.inc(report.failed)
