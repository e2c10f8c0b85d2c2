"""Generative classification, beside the nearest neighbour's."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from .....core.statistics.classification import classify
from .....core.statistics.interval import Interval
from .....core.statistics.proportions import (
    mcnemar_mid_p,
    paired_difference_interval,
    proportion_interval,
)
from ....reduce.context import ReduceContext
from ....reduce.emitter import Emitter, emitter
from ....reduce.groups import GroupValues
from ....reduce.schema import EVERY_CLASS, SummaryRow, exact
from ....spec.audit import Role
from ...likelihood.densities import Scores, each_score
from ...neighbours.nearest import Baseline, failed_by_group, hits, read_neighbours

Baselines = list[tuple[Baseline, pd.DataFrame]]

_CLASSIFIED: tuple[Role, ...] = ("train", "test", "generated", "simulated")


def reduce_classification(context: ReduceContext) -> list[SummaryRow]:
    """Accuracy by each likelihood, by reconstructions and by 1-NN, and differences from 1-NN.

    An image that failed may have been right or wrong: the intervals hold both.
    Groups evaluated under every class whose images all have a label. Classes are taken as equally
    likely.
    """
    known = read_neighbours(context.tables)
    baselines = [(baseline, hits(nearest)) for baseline, nearest in known]
    rows = _neighbour_rows(context, known)
    for emit, scores, generator in each_score(context):
        for name, values in scores.groups(context, generator).items():
            if can_be_classified(values):
                keyed = emit.at(condition=EVERY_CLASS, group=name)
                rows += _group_rows(keyed, scores, values, baselines)
    return rows


def can_be_classified(values: GroupValues) -> bool:
    """Whether images with labels were evaluated under every class, at least one without error."""
    return bool(
        values.group.role in _CLASSIFIED
        and values.conditional
        and values.by_class.shape[1] > 1
        and values.has_every_class
        and (values.label >= 0).all()
        and values.complete.any()
    )


def _group_rows(
    emit: Emitter, scores: Scores, values: GroupValues, baselines: Baselines
) -> Iterator[SummaryRow]:
    whole = values.complete
    result = classify(scores.sign * values.by_class[whole])
    correct = values.classes[result.predicted] == values.label[whole]
    accuracy = proportion_interval(int(correct.sum()), len(correct), failed=int(np.sum(~whole)))
    yield emit.row(f"accuracy_{scores.method}", accuracy)
    yield emit.exact(f"ties_{scores.method}", result.ties, len(correct))
    for baseline, found in baselines:
        theirs = found["hit"].reindex(pd.Index(values.image_id[whole])).to_numpy(np.float64)
        paired = ~np.isnan(theirs)
        if paired.any():
            mine, other = correct[paired], theirs[paired] == 1.0
            failed = len(values.image_id) - len(mine)
            for metric, interval in _differences(mine, other, failed):
                yield emit.at(against=baseline.words).row(f"{metric}_{scores.method}", interval)


def _differences(mine: np.ndarray, other: np.ndarray, failed: int) -> list[tuple[str, Interval]]:
    """The difference of two accuracies on the same images, and the test that there is none."""
    mine_only, other_only, n = int(np.sum(mine & ~other)), int(np.sum(other & ~mine)), len(mine)
    difference = paired_difference_interval(mine_only, other_only, n, failed=failed)
    return [
        ("accuracy_difference", difference),
        ("accuracy_mcnemar_p", exact(mcnemar_mid_p(mine_only, other_only), n)),
    ]


def _neighbour_rows(context: ReduceContext, known: Baselines) -> list[SummaryRow]:
    rows = []
    for baseline, nearest in known:
        found, failed = hits(nearest), failed_by_group(context.tables, nearest)
        for group in context.with_role(*_CLASSIFIED):
            mine = found.loc[found["group"] == group.name, "hit"].to_numpy()
            if len(mine):
                interval = proportion_interval(
                    int(mine.sum()), len(mine), failed=failed.get(group.name, 0)
                )
                emit = emitter(context, group=group.name)
                rows.append(emit.row(f"accuracy_{baseline.method}", interval))
    return rows
