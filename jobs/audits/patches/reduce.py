"""Is the density that of small patches? Both models' densities of the same images [HU 3]."""

from collections.abc import Iterator, Sequence

import pandas as pd

from ....core.statistics.correlation import KINDS, class_correlations
from ....core.statistics.overlap import top_overlap, top_size
from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.emitter import Emitter, emitter
from ...reduce.groups import group_values, own_density
from ...reduce.image_scores import (
    OwnScores,
    PairedScores,
    and_with_outliers,
    own_correlations,
    pair_scores,
)
from ...reduce.schema import PER_CLASS_MEAN, SummaryRow, class_condition
from ..likelihood.densities import Densities, each_density
from ..likelihood.image_pairs import scores_beside_density

_CORRELATION = "patch_correlation"


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
    inliers = None if context.inliers is None else context.inliers.name
    for emit, densities, generator in each_density(context):
        own = emit.at(condition=own_density(generator))
        pairs = paired_densities(context, generator, densities, patches)
        for pair in and_with_outliers(context, pairs):
            rows += own_correlations(own, _CORRELATION, pair)
            if pair.group == inliers:
                keys = {"group": pair.group, "against": pair.against}
                if generator.num_classes:
                    rows += _by_class(emit.at(**keys), pair, generator.conditions)
                rows += _tops(own.at(**keys), pair.own)
    return rows


def paired_densities(
    context: ReduceContext, generator: GeneratorInfo, densities: Densities, patches: pd.DataFrame
) -> list[PairedScores]:
    """The generator's ln p (first) and the patch model's (second) by group.

    Raises:
        RunTableError: tables that do not hold the same images.
    """
    return pair_scores(
        densities.groups(context, generator),
        group_values(context, patches, "log_density", generator),
        (densities.stage, "patch_gmm"),
    )


def _means(
    context: ReduceContext, generator: GeneratorInfo, patches: pd.DataFrame
) -> list[SummaryRow]:
    emit = emitter(context, generator=generator.name, condition=own_density(generator))
    own = {
        name: values.own_values()
        for name, values in group_values(context, patches, "log_density", generator).items()
    }
    return [
        emit.at(group=name).seeded("patch mean").mean_row("patch_log_density_mean", densities)
        for name, densities in own.items()
        if len(densities)
    ]


def _by_class(emit: Emitter, pair: PairedScores, classes: Sequence[int]) -> Iterator[SummaryRow]:
    """Correlations under each of the classes, and their mean over these."""
    for kind in KINDS:
        found = class_correlations(pair.first, pair.second, kind)
        if found is not None:
            metric = f"{_CORRELATION}_{kind}"
            yield emit.at(condition=PER_CLASS_MEAN).row(metric, found.mean)
            for index, interval in found.by_class.items():
                yield emit.at(condition=class_condition(classes[index])).row(metric, interval)


def _tops(emit: Emitter, scores: OwnScores) -> Iterator[SummaryRow]:
    """Overlap of the images with the highest densities, each under its own class."""
    n = len(scores.first)
    if n > 1:
        yield emit.exact("patch_top_overlap", top_overlap(scores.first, scores.second), n)
        yield emit.exact("patch_top_size", top_size(n), n)


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
