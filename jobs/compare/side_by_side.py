"""The tables of a comparison."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..audits import AUDITS, METRICS
from ..reduce.schema import EVERY_CLASS, MARGINAL, NEAREST_CLASS, OWN, PER_CLASS_MEAN
from ..report.summary import MISSING, Estimate
from ..report.table import Cell, Column, N, Table, counts, estimates, filled_table, numbers
from ..report.words import BOUND
from .pairing import Difference
from .runs import Comparison
from .sides import Side

# What is paired, in words.
DIFFERENCES = {
    "reconstruction_mse": "mean squared error",
    "reconstruction_lpips": "LPIPS of the reconstruction",
    "log_likelihood": "ln p, nats",
    "accuracy_likelihood": "accuracy by density",
    "accuracy_reconstruction": "accuracy by reconstruction",
    "accuracy_reconstruction_lpips": "accuracy by reconstruction in LPIPS",
}
_KEYS = ("metric", "group", "condition", "against", "estimator")

# Where there are several, the terminal shows the first of these.
_PREFERRED: tuple[str | None, ...] = (
    MARGINAL,
    NEAREST_CLASS,
    EVERY_CLASS,
    PER_CLASS_MEAN,
    OWN,
    None,
)

Row = Mapping[str, Any]
Key = tuple[str | None, ...]


def side_table(comparison: Comparison) -> Table:
    """Which letter is which generator of which run."""
    return Table(
        "What is compared",
        [
            Column(""),
            Column("run"),
            Column("generator"),
            Column("weights"),
            counts("classes"),
            numbers("σ²"),
            counts("seed"),
        ],
        [
            [
                side.letter,
                side.run,
                side.generator.name,
                side.weights[:12],
                len(side.generator.conditions) or None,
                side.variance,
                side.spec.seed,
            ]
            for side in comparison.sides
        ],
        key="sides",
    )


def metric_tables(comparison: Comparison) -> list[Table]:
    """Every metric of every side, by audit."""
    audits = [
        _metric_table(comparison.sides, list(audit.metrics), audit.title, audit.name)
        for audit in AUDITS
    ]
    known = {metric for audit in AUDITS for metric in audit.metrics}
    failed = [metric for metric in METRICS if metric not in known]
    tables = [*audits, _metric_table(comparison.sides, failed, "Rows that failed", "rows")]
    return [table for table in tables if table is not None]


def headline_table(comparison: Comparison) -> Table | None:
    """The few metrics that a reader asks for first."""
    metrics = [name for name, metric in METRICS.items() if metric.headline]
    keys = _headline_keys(comparison, metrics)
    title = "Side by side"
    if any(key[0] == "bits_per_dim" for key in keys):
        # The terminal has no table of meanings, and the usual number has the other sign.
        title += "; bits per dimension are higher for denser images"
    return _metric_table(comparison.sides, metrics, title, "headlines", keys)


def overlap_table(comparison: Comparison) -> Table:
    """How many images of each group two sides share."""
    return Table(
        "Shared images: the same id, source and pixels",
        [
            Column("pair"),
            Column("group"),
            Column("images"),
            counts("shared"),
            counts("same id, other pixels"),
        ],
        [
            [
                f"{each.first}, {each.second}",
                each.group,
                _both(each.first_images, each.second_images),
                each.shared,
                each.altered,
            ]
            for each in comparison.overlaps
        ],
        key="shared",
    )


def difference_table(comparison: Comparison, *, headlines: bool = False) -> Table | None:
    """Paired differences, with what their intervals decide.

    ``headlines`` leaves one condition of each, under the estimators that verdicts rest on.
    """
    shown = first_conditions(comparison) if headlines else comparison.differences
    rows: list[list[Cell]] = [
        [
            f"{each.second} − {each.first}",
            DIFFERENCES[each.metric],
            each.group,
            each.condition,
            each.estimator,
            _estimate(each.interval.value, each.interval.low, each.interval.high, each.interval.n),
            in_words(comparison, each),
            each.interval.n,
        ]
        for each in shown
    ]
    title = "Paired differences of the means over shared images, 95% intervals over images"
    if any(each.metric == "log_likelihood" for each in shown):
        title += f"; {BOUND}"
    return filled_table(
        title,
        [
            *[Column(name) for name in ("pair", "of", "group", "condition", "estimator")],
            estimates("difference"),
            Column("so"),
            N,
        ],
        rows,
        key="differences",
    )


def meaning_table(comparison: Comparison) -> Table:
    """What the metrics mean that some side has."""
    there = {row["metric"] for side in comparison.sides for row in side.rows}
    return Table(
        "What the metrics mean",
        [Column("metric"), Column("meaning"), Column("better")],
        [
            [
                name.replace("_", " "),
                metric.meaning,
                None if metric.direction == "none" else metric.direction,
            ]
            for name, metric in METRICS.items()
            if name in there
        ],
        key="meanings",
    )


def _headline_keys(comparison: Comparison, metrics: Sequence[str]) -> set[Key]:
    """Of each metric and groups, the key under the first condition and a trusted estimator."""
    trusted = {side.trusted for side in comparison.sides}
    best: dict[tuple[str | None, ...], Key] = {}
    for side in comparison.sides:
        for row in side.rows:
            if row["metric"] in metrics and row["estimator"] in {None, *trusted}:
                key = _key(row)
                what = (row["metric"], row["group"], row["against"], row["estimator"])
                if what not in best or _rank(key[2]) < _rank(best[what][2]):
                    best[what] = key
    return set(best.values())


def first_conditions(comparison: Comparison) -> list[Difference]:
    """Of each metric and group the preferred condition, under estimators that verdicts rest on."""
    trusted = {side.trusted for side in comparison.sides}
    best: dict[tuple[str | None, ...], Difference] = {}
    for each in comparison.differences:
        what = (each.metric, each.group, each.estimator, each.first, each.second)
        known = best.get(what)
        better = known is None or _rank(each.condition) < _rank(known.condition)
        if each.estimator in {None, *trusted} and better:
            best[what] = each
    return list(best.values())


def _rank(condition: str | None) -> int:
    return _PREFERRED.index(condition) if condition in _PREFERRED else len(_PREFERRED)


def _key(row: Row) -> Key:
    return tuple(row[name] for name in _KEYS)


def _metric_table(
    sides: Sequence[Side],
    metrics: Sequence[str],
    title: str,
    key: str,
    chosen: set[Key] | None = None,
) -> Table | None:
    by_side = [{_key(row): row for row in side.rows} for side in sides]
    keys = dict.fromkeys(
        found
        for rows in by_side
        for found in rows
        if found[0] in metrics and (chosen is None or found in chosen)
    )
    ordered = sorted(keys, key=lambda found: list(metrics).index(str(found[0])))
    rows: list[list[Cell]] = []
    for found in ordered:
        cells = [rows_of.get(found) for rows_of in by_side]
        counted = [MISSING if row is None else str(row["n"]) for row in cells]
        rows.append(
            [
                str(found[0]).replace("_", " "),
                *found[1:],
                *[_cell(row) for row in cells],
                counted[0] if len(set(counted)) == 1 else " / ".join(counted),
            ]
        )
    # A side without any of these metrics keeps its column, or it would seem not to be compared.
    letters = [replace(estimates(side.letter), stays=True) for side in sides]
    columns = [*[Column(name) for name in _KEYS], *letters, Column("N")]
    if any("ln p" in METRICS[str(found[0])].meaning for found in ordered):
        title += f"; {BOUND}"
    return filled_table(title, columns, rows, key=key)


def _cell(row: Row | None) -> Estimate | None:
    if row is None:
        return None
    value, low, high = (
        math.nan if row[name] is None else float(row[name]) for name in ("value", "low", "high")
    )
    return _estimate(value, low, high, row["n"])


def _estimate(value: float, low: float, high: float, n: int) -> Estimate:
    return Estimate(value, low, high, n, None)


def in_words(comparison: Comparison, difference: Difference) -> str:
    """What a paired difference decides, and what to beware of."""
    return _decided(difference) + _beware(comparison, difference)


def is_equal(difference: Difference) -> bool:
    """Whether both sides have the same numbers, image by image."""
    return difference.interval.low == difference.interval.high == 0


def differs(difference: Difference) -> bool:
    """Whether the whole interval lies on one side of 0."""
    return difference.interval.low > 0 or difference.interval.high < 0


def _decided(difference: Difference) -> str:
    interval = difference.interval
    if is_equal(difference):
        return "equal"
    if interval.low > 0:
        return f"{difference.second} is higher"
    return f"{difference.second} is lower" if interval.high < 0 else "not decided"


def _beware(comparison: Comparison, difference: Difference) -> str:
    if difference.metric != "log_likelihood":
        return ""
    same = comparison.same_variance(difference.first, difference.second)
    return "" if same else "; but σ² differs"


def _both(first: int, second: int) -> str:
    return str(first) if first == second else f"{first} / {second}"
