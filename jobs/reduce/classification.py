"""Generative classification, beside the nearest neighbour's."""

import numpy as np
import pandas as pd

from ...core.statistics.bootstrap import bootstrap_interval
from ...core.statistics.classification import accuracy_interval, classify, mean
from .context import GeneratorInfo, ReduceContext, Role
from .densities import Scores, read_scores
from .groups import GroupValues, group_values
from .schema import EVERY_CLASS, SummaryRow, exact, summary_row
from .tables import read_stage, succeeded

_CLASSIFIED: tuple[Role, ...] = ("train", "test", "generated", "simulated")


def reduce_classification(context: ReduceContext) -> list[SummaryRow]:
    """Accuracy by each likelihood, by reconstruction and by 1-NN, and differences from 1-NN.

    Groups evaluated under every class whose images all have a label. Classes are taken as equally
    likely.
    """
    baseline = _neighbour_hits(context)
    rows = _neighbour_rows(context, baseline)
    for scores in read_scores(context.run_dir):
        for generator in context.generators:
            for values in group_values(context, scores.frame, scores.column, generator).values():
                if can_be_classified(values):
                    rows += _group_rows(context, generator, scores, values, baseline)
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
    baseline: "pd.Series[float]",
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
    hits = baseline.reindex(pd.Index(values.image_id[whole])).to_numpy(np.float64)
    paired = ~np.isnan(hits)
    if paired.any():
        difference = correct[paired].astype(np.float64) - hits[paired]
        rows.append(
            summary_row(
                f"accuracy_difference_{scores.method}",
                bootstrap_interval(difference, mean, seed, resamples=context.resamples),
                **keys,
                against="1-NN",
            )
        )
    return rows


def _neighbour_hits(context: ReduceContext) -> "pd.Series[float]":
    """1.0 where the nearest reference image has the image's label, by image id."""
    frame = read_stage(context.run_dir, "neighbours", ["nearest_label"])
    if frame is None:
        return pd.Series(dtype=np.float64)
    labelled = succeeded(frame)
    labelled = labelled[(labelled["label"] >= 0) & labelled["nearest_label"].notna()]
    hits = (labelled["nearest_label"] == labelled["label"]).astype(np.float64)
    hits.index = pd.Index(labelled["image_id"])
    return hits.sort_index()


def _neighbour_rows(context: ReduceContext, hits: "pd.Series[float]") -> list[SummaryRow]:
    frame = read_stage(context.run_dir, "neighbours")
    if frame is None or not len(hits):
        return []
    group_of = pd.Series(frame["group"].to_numpy(), index=frame["image_id"])
    rows = []
    for group in context.with_role(*_CLASSIFIED):
        mine = hits[group_of.reindex(hits.index).to_numpy() == group.name]
        if len(mine):
            seed = context.seed_of("accuracy", "neighbours", group.name)
            interval = accuracy_interval(mine.to_numpy() == 1.0, seed, resamples=context.resamples)
            rows.append(summary_row("accuracy_neighbours", interval, group=group.name))
    return rows
