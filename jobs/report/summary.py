"""Looks estimates up in the summary table, and writes them as text."""

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

ANY: Literal["*"] = "*"
MISSING = "–"
NO_BREAK = "\N{NO-BREAK SPACE}"
_MOST_DECIMALS = 6
# A smaller p-value is known to be small, and no further: no law of images holds so far out.
_SMALLEST_P_VALUE, _SMALLER = 1e-6, "under 1e−6"


@dataclass(frozen=True)
class Estimate:
    """A value with its interval (nan where it has none), N, and the condition it is under."""

    value: float
    low: float
    high: float
    n: int
    condition: str | None

    def text(self, digits: int = 3) -> str:
        """``value [low, high]``, the largest of them to so many significant digits."""
        return " ".join(filter(None, self.written(digits)))

    def fixed(self, decimals: int) -> str:
        """``value [low, high]`` with so many decimals: for shares and percentages."""
        return " ".join(filter(None, self.written(decimals=decimals)))

    def written(self, digits: int = 3, decimals: int | None = None) -> tuple[str, str]:
        """``value`` and ``[low, high]``, the second empty where there is no interval."""
        bounds = [] if math.isnan(self.low) else [self.low, self.high]
        if decimals is None:
            finite = [abs(x) for x in (self.value, *bounds) if math.isfinite(x)]
            decimals = _decimals(max(finite, default=0.0), digits)
        value, *ends = [number(x, digits, decimals) for x in (self.value, *bounds)]
        return value, f"[{ends[0]},{NO_BREAK}{ends[1]}]" if ends else ""

    def scaled(self, factor: float) -> "Estimate":
        """The estimate in another unit."""
        low, high = sorted((self.low * factor, self.high * factor))
        return Estimate(self.value * factor, low, high, self.n, self.condition)


class Summary:
    """The summary table by its keys, densities being those of one ``estimator``.

    None asks for densities that name no estimator; what rests on no density is always there.
    """

    def __init__(self, table: pa.Table, estimator: str | None = None) -> None:
        self.estimator = estimator
        self._estimators = dict.fromkeys(table["estimator"].to_pylist())
        self._rows: dict[str, list[dict[str, object]]] = {}
        for row in table.to_pylist():
            self._rows.setdefault(str(row["metric"]), []).append(row)

    @property
    def estimators(self) -> list[str | None]:
        """This summary's estimator, and after it the others that the table has."""
        others = [name for name in self._estimators if name not in (None, self.estimator)]
        return [self.estimator, *others]

    def under(self, estimator: str | None) -> "Summary":
        """The same table with the densities of another estimator."""
        other = copy(self)
        other.estimator = estimator
        return other

    def where(self, keeps: Callable[[dict[str, object]], bool]) -> "Summary":
        """The table's rows that ``keeps`` says yes to."""
        other = copy(self)
        other._rows = {
            metric: kept
            for metric, rows in self._rows.items()
            if (kept := [row for row in rows if keeps(row)])
        }
        return other

    def find(
        self,
        metric: str,
        *,
        generator: str | None = None,
        group: str | None = None,
        against: str | None = ANY,
        conditions: Sequence[str | None] = (ANY,),
    ) -> Estimate | None:
        """The estimate under the first of ``conditions`` that the table has; None if it has none.

        ``*`` matches anything.
        """
        for condition in conditions:
            for row in self._rows.get(metric, []):
                if (
                    row["estimator"] in (None, self.estimator)
                    and row["generator"] == generator
                    and row["group"] == group
                    and against in (ANY, row["against"])
                    and condition in (ANY, row["condition"])
                ):
                    return _estimate(row)
        return None

    def rows(self, prefix: str) -> list[dict[str, object]]:
        """All rows whose metric starts with ``prefix``."""
        return [
            row for metric, rows in self._rows.items() if metric.startswith(prefix) for row in rows
        ]


def number(value: float, digits: int = 3, decimals: int | None = None) -> str:
    """A number for readers: significant digits, a true minus sign, no needless exponent.

    ``decimals`` fixes how many follow the point, so that numbers side by side agree.
    """
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    places = _decimals(abs(value), digits) if decimals is None else decimals
    if value and places > _MOST_DECIMALS:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    else:
        text = f"{value:,.{min(places, _MOST_DECIMALS)}f}"
    return text.replace("-", "−")


def p_value_number(value: float) -> str:
    """A p-value for a table: two digits, or that it is under 1e-6."""
    if value < _SMALLEST_P_VALUE:
        return _SMALLER
    return number(value, 2)


def p_value_words(value: float) -> str:
    """A p-value for a sentence: ``p = 0.012``, or ``p under 1e−6``."""
    text = p_value_number(value)
    return f"p {text}" if value < _SMALLEST_P_VALUE else f"p = {text}"


def _decimals(size: float, digits: int) -> int:
    return 0 if size == 0 else max(digits - 1 - math.floor(math.log10(size)), 0)


def _estimate(row: dict[str, object]) -> Estimate:
    def real(key: str) -> float:
        value = row[key]
        return math.nan if value is None else float(str(value))

    condition = row["condition"]
    return Estimate(
        real("value"),
        real("low"),
        real("high"),
        int(str(row["n"])),
        None if condition is None else str(condition),
    )
