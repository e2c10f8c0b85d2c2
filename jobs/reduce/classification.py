"""Generative classification, beside the nearest neighbour's."""

import numpy as np
import pandas as pd

from ...core.statistics.bootstrap import bootstrap_interval
from ...core.statistics.classification import accuracy_interval, classify, mean
from .context import GeneratorInfo, ReduceContext, Role
from .densities import Scores, read_scores
from .groups import GroupValues, group_values
from .neighbours import Baseline, hits, read_neighbours
from .schema import EVERY_CLASS, SummaryRow, exact, summary_row

Baselines = list[tuple[Baseline, pd.DataFrame]]

_CLASSIFIED: tuple[Role, ...] = ("train", "test", "generated", "simulated")


def reduce_classification(context: ReduceContext) -> list[SummaryRow]:
    """Accuracy by each likelihood, by reconstructions and by 1-NN, and differences from 1-NN.

    Groups evaluated under every class whose images all have a label. Classes are taken as equally
    likely.
    """
    baselines = [(baseline, hits(rows)) for baseline, rows in read_neighbours(context.run_dir)]
    rows = _neighbour_rows(context, baselines)
    for scores in read_scores(context.run_dir):
        for generator in context.generators:
            for values in group_values(context, scores.frame, scores.column, generator).values():
                if can_be_classified(values):
                    rows += _group_rows(context, generator, scores, values, baselines)
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
    context: ReduceContext,
    generator: GeneratorInfo,
    scores: Scores,
    values: GroupValues,
    baselines: Baselines,
) -> list[SummaryRow]:
    whole = values.complete
    result = classify(scores.sign * values.by_class[whole])
    correct = result.predicted == values.label[whole]
    seed = context.seed_of("accuracy", scores.method, generator.name, values.group.name)
    keys = {
        "generator": generator.name,
        "condition": EVERY_CLASS,
        "group": values.group.name,
        "estimator": scores.estimator,
    }
    accuracy = accuracy_interval(correct, seed, resamples=context.resamples)
    rows = [
        summary_row(f"accuracy_{scores.method}", accuracy, **keys),
        summary_row(f"ties_{scores.method}", exact(result.ties, len(correct)), **keys),
    ]
    for baseline, found in baselines:
        theirs = found["hit"].reindex(pd.Index(values.image_id[whole])).to_numpy(np.float64)
        paired = ~np.isnan(theirs)
        if paired.any():
            difference = correct[paired].astype(np.float64) - theirs[paired]
            rows.append(
                summary_row(
                    f"accuracy_difference_{scores.method}",
                    bootstrap_interval(difference, mean, seed, resamples=context.resamples),
                    **keys,
                    against=baseline.words,
                )
            )
    return rows


def _neighbour_rows(context: ReduceContext, baselines: Baselines) -> list[SummaryRow]:
    rows = []
    for baseline, found in baselines:
        for group in context.with_role(*_CLASSIFIED):
            mine = found.loc[found["group"] == group.name, "hit"].to_numpy()
            if len(mine):
                seed = context.seed_of("accuracy", baseline.method, group.name)
                interval = accuracy_interval(mine == 1.0, seed, resamples=context.resamples)
                rows.append(summary_row(f"accuracy_{baseline.method}", interval, group=group.name))
    return rows
