"""Outlier detection: can the generator tell its own domain's images from others?"""

import numpy as np

from ...core.statistics.outliers import marginal_auc, per_class_auc
from .context import GeneratorInfo, GroupInfo, ReduceContext
from .densities import Scores, read_scores
from .groups import GroupValues, group_values
from .neighbours import distances_by_group, read_neighbours
from .reconstruction import reconstruction_errors
from .schema import MARGINAL, NEAREST_CLASS, PER_CLASS_MEAN, SummaryRow, summary_row


def reduce_outliers(context: ReduceContext) -> list[SummaryRow]:
    """AUC by each likelihood, by reconstructions and by 1-NN, outlier groups against the inliers.

    The marginal (or the nearest class) where both groups have every class, and per class mean for
    every class-conditional generator; the two are never mixed in one AUC.
    """
    inliers = context.inliers
    if inliers is None:
        return []
    rows = []
    for scores in read_scores(context.run_dir):
        for generator in context.generators:
            groups = group_values(context, scores.frame, scores.column, generator)
            for outliers in context.with_role("outlier"):
                if inliers.name in groups and outliers.name in groups:
                    pair = groups[inliers.name], groups[outliers.name]
                    rows += _pooled(context, generator, scores, *pair)
                    rows += _per_class(context, generator, scores, *pair)
    return rows + _neighbours(context, inliers)


def _pooled(
    context: ReduceContext,
    generator: GeneratorInfo,
    scores: Scores,
    inliers: GroupValues,
    outliers: GroupValues,
) -> list[SummaryRow]:
    if not (inliers.has_every_class and outliers.has_every_class):
        return []
    if scores.method == "likelihood":
        condition: str | None = MARGINAL
        pair = [-values.log_density(MARGINAL) for values in (inliers, outliers)]
    else:
        condition = NEAREST_CLASS if inliers.conditional else None
        pair = [reconstruction_errors(values)[condition] for values in (inliers, outliers)]
    if min(len(group) for group in pair) == 0:
        return []
    names = (generator.name, outliers.group.name, inliers.group.name)
    seed = context.seed_of("auc", scores.method, condition, *names)
    result = marginal_auc(pair[0], pair[1], seed, resamples=context.resamples)
    return [
        summary_row(
            f"outlier_auc_{scores.method}",
            result.interval,
            generator=generator.name,
            condition=condition,
            group=outliers.group.name,
            against=inliers.group.name,
            estimator=scores.estimator,
        )
    ]


def _per_class(
    context: ReduceContext,
    generator: GeneratorInfo,
    scores: Scores,
    inliers: GroupValues,
    outliers: GroupValues,
) -> list[SummaryRow]:
    if not inliers.conditional:
        return []
    kept = ~np.isnan(inliers.own)
    evaluated = ~np.isnan(outliers.by_class).all(axis=1)
    classes_in = np.unique(inliers.own_class[kept])
    classes_out = np.flatnonzero(~np.isnan(outliers.by_class).all(axis=0))
    if len(np.intersect1d(classes_in, classes_out)) == 0:
        return []
    names = (generator.name, outliers.group.name, inliers.group.name)
    result = per_class_auc(
        -scores.sign * inliers.own[kept],
        inliers.own_class[kept],
        -scores.sign * outliers.by_class[evaluated],
        context.seed_of("auc", scores.method, PER_CLASS_MEAN, *names),
        resamples=context.resamples,
    )
    return [
        summary_row(
            f"outlier_auc_{scores.method}",
            result.interval,
            generator=generator.name,
            condition=PER_CLASS_MEAN,
            group=outliers.group.name,
            against=inliers.group.name,
            estimator=scores.estimator,
        )
    ]


def _neighbours(context: ReduceContext, inliers: GroupInfo) -> list[SummaryRow]:
    rows = []
    for baseline, nearest in read_neighbours(context.run_dir):
        distances = distances_by_group(nearest)
        for outliers in context.with_role("outlier"):
            if inliers.name in distances and outliers.name in distances:
                result = marginal_auc(
                    distances[inliers.name],
                    distances[outliers.name],
                    context.seed_of("auc", baseline.method, outliers.name, inliers.name),
                    resamples=context.resamples,
                )
                rows.append(
                    summary_row(
                        f"outlier_auc_{baseline.method}",
                        result.interval,
                        group=outliers.name,
                        against=inliers.name,
                    )
                )
    return rows
