"""The summary table: its Arrow schema, and what a metric is."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import pyarrow as pa

from ...core.statistics.interval import Interval

Direction = Literal["higher", "lower", "none"]

# Values of the column ``condition``; it is null where no class condition is involved.
MARGINAL = "marginal"  # ln p(x) over equally likely classes, or of an unconditional generator
OWN = "own"  # each image under its own class; outliers take the classes in turn
PER_CLASS_MEAN = "per class mean"  # a statistic of each class, averaged over classes
NEAREST_CLASS = "nearest class"  # the smallest reconstruction error over classes
EVERY_CLASS = "every class"  # a choice among the classes, or all pairs of them

# A value of ``against``: the group together with every outlier group. No group can have its space.
WITH_OUTLIERS = "with outliers"

# What the convergence stage doubles; a value of the column ``against`` there.
DOUBLED = ("transitions", "chains", "restarts")
# What is said to vary where nothing does but the seeds.
REPLICATE = "replicate"

_COLUMNS: "list[pa.Field[pa.DataType]]" = [
    pa.field("metric", pa.string(), nullable=False),
    pa.field("generator", pa.string()),
    pa.field("condition", pa.string()),
    pa.field("group", pa.string()),
    pa.field("against", pa.string()),
    pa.field("estimator", pa.string()),
    pa.field("value", pa.float64()),
    pa.field("low", pa.float64()),
    pa.field("high", pa.float64()),
    pa.field("n", pa.int64(), nullable=False),
    pa.field("direction", pa.string(), nullable=False),
]
SUMMARY = pa.schema(_COLUMNS)


@dataclass(frozen=True)
class Metric:
    """What a metric says, which direction speaks for the generator, and its unit.

    A ``headline`` is one of the few that a comparison shows in the terminal. Values lie between
    ``least`` and ``most``, and so do the ends of their intervals: one that is symmetric about a
    mean reaches beyond, where nothing can be.
    """

    meaning: str
    direction: Direction
    unit: str
    headline: bool = False
    least: float = -math.inf
    most: float = math.inf

    def within(self, value: float, low: float, high: float) -> tuple[float, float]:
        """The ends of an interval within the range, and the value between them all the same."""
        return max(low, min(self.least, value)), min(high, max(self.most, value))


@dataclass(frozen=True)
class SummaryRow:
    """One row of the summary; ``n`` counts the images of ``group`` that the value rests on.

    ``estimator`` is that of the densities behind the value, None where there are none.
    """

    metric: str
    generator: str | None
    condition: str | None
    group: str | None
    against: str | None
    estimator: str | None
    value: float
    low: float
    high: float
    n: int


def summary_row(
    metric: str,
    interval: Interval,
    *,
    generator: str | None = None,
    condition: str | None = None,
    group: str | None = None,
    against: str | None = None,
    estimator: str | None = None,
) -> SummaryRow:
    """A row from an estimate with its interval."""
    return SummaryRow(
        metric,
        generator,
        condition,
        group,
        against,
        estimator,
        interval.value,
        interval.low,
        interval.high,
        interval.n,
    )


def class_condition(index: int) -> str:
    """The value of ``condition`` for a single class."""
    return f"class {index}"


def exact(value: float, n: int) -> Interval:
    """A value that has no interval: a count, or a setting."""
    return Interval(float(value), math.nan, math.nan, n)


def summary_table(rows: Iterable[SummaryRow], metrics: Mapping[str, Metric]) -> pa.Table:
    """Rows as the summary table; a value or a bound that is not a number is null.

    The ends of intervals are kept within the metric's range.

    Raises:
        KeyError: a metric that is none of ``metrics``.
    """
    records = []
    for row in rows:
        metric = metrics[row.metric]
        record = asdict(row) | {"direction": metric.direction}
        if not math.isnan(row.low) and not math.isnan(row.high):
            record["low"], record["high"] = metric.within(row.value, row.low, row.high)
        for key in ("value", "low", "high"):
            record[key] = None if math.isnan(record[key]) else record[key]
        records.append(record)
    return pa.Table.from_pylist(records, schema=SUMMARY)
