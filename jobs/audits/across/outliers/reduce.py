"""Outlier detection: can the generator tell its own domain's images from others?"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from .....core.statistics.outliers import marginal_auc, per_class_auc
from ....reduce.context import GroupInfo, ReduceContext
from ....reduce.emitter import Emitter, emitter
from ....reduce.groups import GroupValues, group_values
from ....reduce.schema import MARGINAL, NEAREST_CLASS, PER_CLASS_MEAN, SummaryRow
from ...convergence.reduce import replicates_apart
from ...inversion.reduce import failed_images, reconstruction_errors
from ...likelihood.densities import Scores, each_score
from ...neighbours.nearest import distances_by_group, failed_by_group, read_neighbours
from ...variance.reduce import judged_groups
from .methods import CHANCE


def reduce_outliers(context: ReduceContext) -> list[SummaryRow]:
    """AUC by each likelihood, by reconstructions and by 1-NN, outlier groups against the inliers.

    The marginal (or the nearest class) where both groups have every class, and per class mean for
    every class-conditional generator; the two are never mixed in one AUC.
    """
    inliers = context.inliers
    if inliers is None:
        return []
    rows = []
    for emit, scores, generator in each_score(context):
        values_of = judged_groups if scores.method == "likelihood" else group_values
        groups = values_of(context, scores.frame, scores.column, generator)
        apart: Mapping[str, float] = {}
        if scores.method == "likelihood":
            apart = replicates_apart(context, scores.estimator, generator)
        for outliers in context.with_role("outlier"):
            for other in [inliers, *_own_samples(context, scores)]:
                if other.name in groups and outliers.name in groups:
                    pair = groups[other.name], groups[outliers.name]
                    found = pair_rows(emit, scores, *pair)
                    rows += found
                    if apart:
                        rows += _raised_rows(emit, scores, pair, apart, found)
    return rows + _neighbours(context, inliers)


def _own_samples(context: ReduceContext, scores: Scores) -> list[GroupInfo]:
    """The null audit of densities: outliers held against the model's own samples."""
    return context.with_role("simulated") if scores.method == "likelihood" else []


def pair_rows(
    emit: Emitter, scores: Scores, inliers: GroupValues, outliers: GroupValues
) -> list[SummaryRow]:
    """The AUCs of two groups' scores, by each way to treat classes that both allow."""
    emit = emit.at(group=outliers.group.name, against=inliers.group.name)
    return [
        *_pooled(emit, scores, inliers, outliers),
        *_per_class(emit.at(condition=PER_CLASS_MEAN), scores, inliers, outliers),
    ]


def _raised_rows(
    emit: Emitter,
    scores: Scores,
    pair: tuple[GroupValues, GroupValues],
    apart: Mapping[str, float],
    found: list[SummaryRow],
) -> Iterator[SummaryRow]:
    """The AUCs again with every image of the group that is less dense raised.

    It is raised by as much as replicates of its estimates lie apart: lower bounds that the search
    for modes left so far below. An estimate is above ln p by so much with a chance of no more than
    e to the minus so much (Markov), so that the denser group is not lowered.
    """
    inliers, outliers = pair
    by_side = {
        True: pair_rows(emit, scores, _raised(inliers, apart), outliers),
        False: pair_rows(emit, scores, inliers, _raised(outliers, apart)),
    }
    for index, row in enumerate(found):
        low = inliers if row.value < CHANCE else outliers
        if row.metric == "outlier_auc_likelihood" and low.group.name in apart:
            raised = by_side[row.value < CHANCE][index]
            yield replace(raised, metric="outlier_auc_likelihood_raised")


def _raised(values: GroupValues, apart: Mapping[str, float]) -> GroupValues:
    return replace(values, by_class=values.by_class + apart.get(values.group.name, 0.0))


def _pooled(
    emit: Emitter, scores: Scores, inliers: GroupValues, outliers: GroupValues
) -> Iterator[SummaryRow]:
    if not (inliers.has_every_class and outliers.has_every_class):
        return
    if scores.method == "likelihood":
        condition: str | None = MARGINAL
        pair = [-values.log_density(MARGINAL) for values in (inliers, outliers)]
    else:
        condition = NEAREST_CLASS if inliers.conditional else None
        pair = [reconstruction_errors(values)[condition] for values in (inliers, outliers)]
    if min(len(group) for group in pair) == 0:
        return
    failed = [
        failed_images(values, group)
        for values, group in zip((inliers, outliers), pair, strict=True)
    ]
    result = marginal_auc(pair[0], pair[1], failed_inliers=failed[0], failed_outliers=failed[1])
    yield emit.at(condition=condition).row(f"outlier_auc_{scores.method}", result.interval)


def _per_class(
    emit: Emitter, scores: Scores, inliers: GroupValues, outliers: GroupValues
) -> Iterator[SummaryRow]:
    if not inliers.conditional:
        return
    kept = ~np.isnan(inliers.own)
    evaluated = ~np.isnan(outliers.by_class).all(axis=1)
    classes_in = np.unique(inliers.own_class[kept])
    classes_out = np.flatnonzero(~np.isnan(outliers.by_class).all(axis=0))
    if len(np.intersect1d(classes_in, classes_out)) == 0:
        return
    result = per_class_auc(
        -scores.sign * inliers.own[kept],
        inliers.own_class[kept],
        -scores.sign * outliers.by_class[evaluated],
        failed_inlier_class=inliers.own_class[~kept],
        failed_outliers=_failed_under(outliers),
    )
    yield emit.row(f"outlier_auc_{scores.method}", result.interval)
    yield emit.exact(f"outlier_pairs_{scores.method}", result.pairs, result.interval.n)


def _failed_under(outliers: GroupValues) -> np.ndarray:
    """Under which classes each outlier that was evaluated under them failed; only those rows."""
    failed = np.isnan(outliers.by_class)
    if not outliers.has_every_class:
        failed &= np.arange(outliers.by_class.shape[1]) == outliers.own_class[:, None]
    rows: np.ndarray = failed[failed.any(axis=1)]
    return rows


def _neighbours(context: ReduceContext, inliers: GroupInfo) -> list[SummaryRow]:
    rows = []
    for baseline, nearest in read_neighbours(context.tables):
        distances = distances_by_group(nearest)
        failed = failed_by_group(context.tables, nearest)
        for outliers in context.with_role("outlier"):
            if inliers.name in distances and outliers.name in distances:
                result = marginal_auc(
                    distances[inliers.name],
                    distances[outliers.name],
                    failed_inliers=failed.get(inliers.name, 0),
                    failed_outliers=failed.get(outliers.name, 0),
                )
                emit = emitter(context, group=outliers.name, against=inliers.name)
                rows.append(emit.row(f"outlier_auc_{baseline.method}", result.interval))
    return rows
