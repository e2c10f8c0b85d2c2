"""Ray metrics of a run, for whoever scrapes the cluster, by Ray job and kind of shard.

``cluster/manifests/grafana.json`` is a dashboard of them.
"""

from collections.abc import Sequence

from ray.util.metrics import Counter, Gauge, Histogram

from .observer import Attempt

_SECONDS = [1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0]


class RayMetrics:
    """Counts what the executor tells. Rows count once: not those that another run had published.

    Args:
        ray_job: Ray's id of the job that the run is.
        device: what the executor's workers compute on; a run may have one for each.
    """

    def __init__(self, ray_job: str, device: str) -> None:
        self._job = {"ray_job": ray_job}
        self._own = {"ray_job": ray_job, "device": device}
        kind = ("kind", "ray_job")
        self._shards = Counter("offmanifold_shards", "Shards finished.", kind)
        self._rows = Counter("offmanifold_rows", "Rows of finished shards.", kind)
        self._failed = Counter("offmanifold_failed_rows", "Rows whose item failed.", kind)
        self._deaths = Counter("offmanifold_worker_deaths", "Workers that died or hung.", kind)
        self._seconds = Histogram(
            "offmanifold_shard_seconds", "Seconds per finished shard.", _SECONDS, kind
        )
        self._workers = Gauge(
            "offmanifold_workers", "Workers, by state.", ("state", "device", "ray_job")
        )
        self._out = Gauge(
            "offmanifold_places_out_of_use",
            "GPUs or nodes that get no more shards.",
            ("device", "ray_job"),
        )

    def attempted(self, attempt: Attempt) -> None:
        """See :meth:`~offmanifold.cluster.observer.Observer.attempted`."""
        tags = {"kind": attempt.kind or "none", **self._job}
        if attempt.error is not None:
            self._deaths.inc(1, tags)
        elif attempt.report.published:
            self._shards.inc(1, tags)
            self._seconds.observe(attempt.seconds, tags)
            for counter, rows in (
                (self._rows, attempt.report.rows),
                (self._failed, attempt.report.failed),
            ):
                # Ray refuses to count nothing.
                if rows:
                    counter.inc(rows, tags)

    def workers(self, busy: int, idle: int, starting: int) -> None:
        """See :meth:`~offmanifold.cluster.observer.Observer.workers`."""
        for state, count in (("busy", busy), ("idle", idle), ("starting", starting)):
            self._workers.set(count, {"state": state, **self._own})

    def out_of_use(self, places: Sequence[str]) -> None:
        """See :meth:`~offmanifold.cluster.observer.Observer.out_of_use`."""
        self._out.set(len(places), self._own)
