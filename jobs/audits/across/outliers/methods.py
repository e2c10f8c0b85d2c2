"""The ways to tell outliers and classes apart, as tables and figures set them side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from ....reduce.schema import MARGINAL, NEAREST_CLASS, PER_CLASS_MEAN
from ....report.summary import Estimate
from ....report.table import Cell, Column, N, Table, estimates, filled_table
from ....report.view import View
from ...neighbours.nearest import BASELINES

# The AUC of a score that tells nothing.
CHANCE = 0.5


@dataclass(frozen=True)
class Method:
    """A score: the end of its metrics' names, what readers call it, its colour.

    ``pooled`` are the conditions of its AUC that mixes classes. A baseline knows no generator.
    """

    key: str
    words: str
    colour: str
    pooled: tuple[str | None, ...]
    baseline: bool = False

    def outlier_auc(
        self, view: View, outliers: str, inliers: str, *conditions: str | None
    ) -> Estimate | None:
        """Its AUC, under the first of the conditions that there is; a baseline has only one."""
        metric = f"outlier_auc_{self.key}"
        if self.baseline:
            return view.summary.find(metric, group=outliers, against=inliers, conditions=(None,))
        return view.find(metric, outliers, *conditions, against=inliers)

    def accuracy(self, view: View, group: str) -> Estimate | None:
        """Its accuracy as a classifier."""
        metric = f"accuracy_{self.key}"
        return view.summary.find(metric, group=group) if self.baseline else view.find(metric, group)


_PIXELS, _LPIPS = BASELINES["pixels"], BASELINES["lpips"]
METHODS = (
    Method("likelihood", "likelihood", "#0072b2", (MARGINAL,)),
    Method("reconstruction", "reconstruction, MSE", "#d55e00", (NEAREST_CLASS, None)),
    Method("reconstruction_lpips", "reconstruction, LPIPS", "#e69f00", (NEAREST_CLASS, None)),
    Method(_PIXELS.method, _PIXELS.words, "#7a828c", (None,), baseline=True),
    Method(_LPIPS.method, _LPIPS.words, "#4a4f57", (None,), baseline=True),
)


def any_variant(method: Method) -> tuple[str | None, ...]:
    """The AUC that mixes classes where there is one, else the mean over classes."""
    return (*method.pooled, PER_CLASS_MEAN)


# The first cells of a row, and every method's estimate.
Found = dict[tuple[Cell, ...], list[Estimate | None]]


def methods_table(
    caption: str,
    heads: Sequence[Column],
    found: Found,
    *,
    decimals: int,
    scale: float = 1.0,
    key: str,
) -> Table | None:
    """The rows in which a generator's method has a number, a column a method.

    A row's N is that of the first of these.
    """
    rows: list[list[Cell]] = []
    for head, row in found.items():
        known = [estimate for estimate in row if estimate is not None]
        own = (each for method, each in zip(METHODS, row, strict=True) if not method.baseline)
        if any(estimate is not None for estimate in own):
            rows.append([*head, *row, known[0].n])
    shown = [estimates(method.words, decimals=decimals, scale=scale) for method in METHODS]
    return filled_table(caption, [*heads, *shown, N], rows, key=key)
