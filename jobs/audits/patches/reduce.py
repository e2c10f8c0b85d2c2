"""Is the density that of small patches? Both models' densities of the same images [HU 3]."""

import pandas as pd

from ....core.statistics.bootstrap import Interval
from ....core.statistics.correlation import KINDS, Kind, class_correlations, correlation_interval
from ....core.statistics.means import mean_interval
from ....core.statistics.overlap import top_overlap, top_size
from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.groups import group_values, own_density
from ...reduce.image_scores import OwnScores, PairedScores, pair_scores, with_outliers
from ...reduce.schema import (
    PER_CLASS_MEAN,
    SummaryRow,
    class_condition,
    exact,
    summary_row,
)
from ..likelihood.densities import Densities, read_densities
from ..likelihood.image_pairs import scores_beside_density


def reduce_patches(context: ReduceContext) -> list[SummaryRow]:
    """Correlations of the generator's densities with the patch model's, and their top lists.

    Every group under its images' own classes. The group that outliers are held against, alone and
    together with the outliers, also class by class (all images that were evaluated under a class,
    where there are at least 10) and averaged over classes, and with its highest images.
    """
    patches = context.tables.read("patch_gmm", ["log_density"])
    if patches is None:
        return []
    rows = [row for generator in context.generators for row in _means(context, generator, patches)]
    for densities in read_densities(context.tables, ["log_likelihood"]):
        for generator in context.generators:
            pairs = paired_densities(context, generator, densities, patches)
            pooled = with_outliers(context, pairs)
            inliers = None if context.inliers is None else context.inliers.name
            for pair in [*pairs, *([] if pooled is None else [pooled])]:
                reducer = _PairRows(generator, densities.estimator, pair)
                rows += reducer.own()
                if pair.group == inliers:
                    rows += reducer.by_class() + reducer.tops()
    return rows


def paired_densities(
    context: ReduceContext, generator: GeneratorInfo, densities: Densities, patches: pd.DataFrame
) -> list[PairedScores]:
    """The generator's ln p (first) and the patch model's (second) by group.

    Raises:
        RunTableError: tables that do not hold the same images.
    """
    return pair_scores(
        group_values(context, densities.frame, "log_likelihood", generator),
        group_values(context, patches, "log_density", generator),
        (densities.stage, "patch_gmm"),
    )


def _means(
    context: ReduceContext, generator: GeneratorInfo, patches: pd.DataFrame
) -> list[SummaryRow]:
    rows = []
    for values in group_values(context, patches, "log_density", generator).values():
        own = values.own_values()
        if len(own):
            seed = context.seed_of("patch mean", generator.name, values.group.name)
            rows.append(
                summary_row(
                    "patch_log_density_mean",
                    mean_interval(own, seed, resamples=context.resamples),
                    generator=generator.name,
                    condition=own_density(generator),
                    group=values.group.name,
                )
            )
    return rows


class _PairRows:
    """The summary's rows of one group's pair of densities."""

    def __init__(self, generator: GeneratorInfo, estimator: str | None, pair: PairedScores) -> None:
        self._generator = generator
        self._estimator = estimator
        self._pair = pair

    def own(self) -> list[SummaryRow]:
        """Correlations over the images, each under its own class."""
        scores = self._pair.own
        rows = []
        for kind in KINDS:
            interval = correlation_interval(scores.first, scores.second, kind)
            if interval is not None:
                rows.append(self._correlation(kind, interval, own_density(self._generator)))
        return rows

    def by_class(self) -> list[SummaryRow]:
        """Correlations under each class, and their mean over classes."""
        if not self._generator.num_classes:
            return []
        rows = []
        for kind in KINDS:
            found = class_correlations(self._pair.first, self._pair.second, kind)
            if found is not None:
                rows.append(self._correlation(kind, found.mean, PER_CLASS_MEAN))
                rows += [
                    self._correlation(kind, interval, class_condition(c))
                    for c, interval in found.by_class.items()
                ]
        return rows

    def tops(self) -> list[SummaryRow]:
        """Overlap of the images with the highest densities, each under its own class."""
        scores = self._pair.own
        n = len(scores.first)
        if n < 2:
            return []
        overlap = exact(top_overlap(scores.first, scores.second), n)
        return [
            self._row("patch_top_overlap", overlap, own_density(self._generator)),
            self._row("patch_top_size", exact(top_size(n), n), own_density(self._generator)),
        ]

    def _correlation(self, kind: Kind, interval: Interval, condition: str) -> SummaryRow:
        return self._row(f"patch_correlation_{kind}", interval, condition)

    def _row(self, metric: str, interval: Interval, condition: str) -> SummaryRow:
        return summary_row(
            metric,
            interval,
            generator=self._generator.name,
            condition=condition,
            group=self._pair.group,
            against=self._pair.against,
            estimator=self._estimator,
        )


def fitted_mixtures(context: ReduceContext) -> pd.DataFrame | None:
    """The rows of ``patch_fit`` without the mixtures themselves."""
    columns = [
        "components",
        "covariance_floor",
        "patch_mean",
        "images",
        "patches",
        "iterations",
        "converged",
    ]
    return context.tables.read("patch_fit", columns)


def patch_scores(context: ReduceContext, generator: GeneratorInfo) -> OwnScores | None:
    """The generator's ln p and the patch model's; None where a run does not have both."""
    return scores_beside_density(context, generator, "patch_gmm", "log_density", paired_densities)
