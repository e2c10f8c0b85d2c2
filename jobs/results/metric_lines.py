"""Metrics as JSON lines, one a metric, with the keys that the StyleGAN repositories write."""

import json
import math
from collections.abc import Iterator

from ..audits import METRICS
from .exported import ExportedRun


def metric_lines(run: ExportedRun) -> Iterator[str]:
    """A line of JSON for each row of the run's summary.

    ``results`` (the metric's name and value), ``metric``, ``snapshot_pkl`` and ``timestamp`` are
    as in ``metric-*.jsonl`` of stylegan2-ada-pytorch and stylegan3; the rest is the summary's row
    and the metric's unit. What is missing is null, and infinity the text ``Infinity``.
    """
    files = {each.name: each.file for each in run.generators}
    for row in [row for each in run.generators for row in each.rows] + list(run.shared):
        numbers = {key: _number(row[key]) for key in ("value", "low", "high")}
        line = {
            "results": {row["metric"]: numbers["value"]},
            "metric": row["metric"],
            "snapshot_pkl": files.get(row["generator"]),
            "timestamp": run.started,
            **{key: value for key, value in row.items() if key != "metric"},
            **numbers,
            "unit": METRICS[row["metric"]].unit,
            "run": run.name,
        }
        yield json.dumps(line, allow_nan=False, ensure_ascii=False)


def _number(value: float | None) -> float | str | None:
    if value is None or math.isfinite(value):
        return value
    return "Infinity" if value > 0 else "-Infinity"
