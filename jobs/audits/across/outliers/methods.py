"""The ways to tell outliers and classes apart, as tables and figures set them side by side."""

from dataclasses import dataclass

from ....reduce.context import GeneratorInfo
from ....reduce.schema import MARGINAL, NEAREST_CLASS, PER_CLASS_MEAN
from ....report.summary import Estimate, Summary
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
