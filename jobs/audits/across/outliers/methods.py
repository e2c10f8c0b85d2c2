"""The ways to tell outliers and classes apart, as tables and figures set them side by side."""

from collections.abc import Callable
from dataclasses import dataclass

from ....reduce.context import GeneratorInfo
from ....reduce.schema import MARGINAL, NEAREST_CLASS, PER_CLASS_MEAN
from ....report.summary import MISSING, Estimate, Summary
from ...neighbours.nearest import BASELINES


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
        self,
        summary: Summary,
        generator: GeneratorInfo,
        outliers: str,
        inliers: str,
        conditions: tuple[str | None, ...],
    ) -> Estimate | None:
        """Its AUC, under the first of the conditions that there is; a baseline has only one."""
        return summary.find(
            f"outlier_auc_{self.key}",
            generator=None if self.baseline else generator.name,
            group=outliers,
            against=inliers,
            conditions=(None,) if self.baseline else conditions,
        )

    def accuracy(self, summary: Summary, generator: GeneratorInfo, group: str) -> Estimate | None:
        """Its accuracy as a classifier."""
        return summary.find(
            f"accuracy_{self.key}",
            generator=None if self.baseline else generator.name,
            group=group,
        )


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
Found = dict[tuple[str, ...], list[Estimate | None]]


def side_by_side(
    found: Found, written: Callable[[Estimate | None], str]
) -> tuple[list[str], list[list[str]]]:
    """Headers of the methods that have a number, and the rows in which a generator's method has.

    A row's N is that of the first of these.
    """
    mine = {
        head: estimates
        for head, estimates in found.items()
        if any(
            estimate is not None
            for method, estimate in zip(METHODS, estimates, strict=True)
            if not method.baseline
        )
    }
    shown = [
        column
        for column in range(len(METHODS))
        if any(estimates[column] is not None for estimates in mine.values())
    ]
    rows = []
    for head, estimates in mine.items():
        first = next(estimate for estimate in estimates if estimate is not None)
        rows.append([*head, *[written(estimates[column]) for column in shown], counted(first)])
    return [METHODS[column].words for column in shown], rows


def share(estimate: Estimate | None) -> str:
    """A share with three decimals, or a dash."""
    return MISSING if estimate is None else estimate.fixed(3)


def percent(estimate: Estimate | None) -> str:
    """A share as a percentage, or a dash."""
    return MISSING if estimate is None else estimate.scaled(100).fixed(1)


def counted(estimate: Estimate | None) -> str:
    """The N of an estimate, or a dash."""
    return MISSING if estimate is None else str(estimate.n)
