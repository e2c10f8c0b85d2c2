"""Accuracies of the classifiers, and how much less real data would do as well."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ....core.statistics.equivalent_share import EquivalentShare, equivalent_share
from ....core.statistics.interval import Interval
from ...reduce.context import ReduceContext
from ...reduce.emitter import Emitter, emitter
from ...reduce.schema import SummaryRow, class_condition
from ...reduce.tables import succeeded
from .plan import BOTH, GENERATED, REAL

_SCALARS = (
    "architecture",
    "source",
    "factor",
    "multiple",
    "converged",
    "train_accuracy",
)
# Repeats of the smallest part of the real data that the null has beside it.
_LEAST = 2


def reduce_diversity(context: ReduceContext) -> list[SummaryRow]:
    """Rows for each generator and architecture; those of real images are the same under each."""
    frame = context.tables.read("classifiers", [*_SCALARS, "test_correct", "test_confusion"])
    if frame is None:
        return []
    found = succeeded(frame)
    rows: list[SummaryRow] = []
    for generator in context.generators:
        for architecture in found["architecture"].unique():
            ours = (found["generator"] == generator.name) | found["generator"].isna()
            mine = found[ours & (found["architecture"] == architecture)]
            emit = emitter(context, generator=generator.name, group=None, estimator=None)
            emit = emit.seeded("diversity", architecture)
            rows += _rows(emit.at(condition=architecture), mine, architecture, context.resamples)
    return rows


def real_condition(architecture: str, factor: int) -> str:
    """The summary's condition of classifiers of a part of the real images."""
    return f"{architecture}, 1/{factor}"


def multiple_condition(architecture: str, multiple: int) -> str:
    """The summary's condition of classifiers of so many times as many generated images."""
    return f"{architecture}, x{multiple}"


def _rows(
    emit: Emitter, models: pd.DataFrame, architecture: str, resamples: int
) -> list[SummaryRow]:
    real = models[models["source"] == REAL]
    made = models[models["source"] == GENERATED]
    once = made[made["multiple"] == 1]
    if once.empty or real.empty:
        return []
    rows = _accuracies(emit, models, architecture)
    rows += _by_class(emit, once, architecture, "")
    rows += _by_class(emit, real[real["factor"] == 1], architecture, "_real")
    factors = sorted(int(each) for each in real["factor"].unique())
    curve = [_correct(real[real["factor"] == factor]) for factor in factors]
    if factors[0] == 1 and len(factors) > 1:
        share = _share(factors, curve, _correct(once), emit.seed, resamples)
        rows += [] if share is None else [emit.row("equivalent_share", _interval(share))]
        if len(curve[1]) >= _LEAST:
            others = [*curve[:1], curve[1][1:], *curve[2:]]
            null = _share(factors, others, curve[1][:1], emit.seed, resamples)
            rows += [] if null is None else [emit.row("equivalent_share_null", _interval(null))]
    unsettled = int((~models["converged"].to_numpy(bool)).sum())
    return [*rows, emit.exact("classifiers_not_converged", unsettled, len(models))]


def _accuracies(emit: Emitter, models: pd.DataFrame, architecture: str) -> list[SummaryRow]:
    rows = []
    sizes = models["factor"].fillna(models["multiple"]).to_numpy(np.int64)
    kinds = sorted(set(zip(models["source"].tolist(), sizes.tolist(), strict=True)))
    for source, size in kinds:
        same = models[(models["source"] == source).to_numpy() & (sizes == size)]
        suffix = {REAL: "_real", GENERATED: "", BOTH: "_both"}[source]
        named = real_condition if source == REAL else multiple_condition
        at = emit.at(condition=named(architecture, size))
        right = _correct(same).mean(axis=0)
        rows.append(at.mean_row(f"classifier_accuracy{suffix}", right))
        if source != BOTH:
            mean = float(same["train_accuracy"].mean())
            rows.append(at.exact(f"classifier_train_accuracy{suffix}", mean, len(same)))
    return rows


def _by_class(
    emit: Emitter, models: pd.DataFrame, architecture: str, suffix: str
) -> list[SummaryRow]:
    if models.empty:
        return []
    flat = np.stack(models["test_confusion"].to_list()).astype(np.float64)
    classes = round(flat.shape[1] ** 0.5)
    confusion = flat.reshape(-1, classes, classes).mean(axis=0)
    totals = confusion.sum(axis=1)
    return [
        emit.at(condition=f"{architecture}, {class_condition(index)}").exact(
            f"classifier_class_accuracy{suffix}",
            confusion[index, index] / totals[index],
            int(totals[index]),
        )
        for index in range(classes)
        if totals[index]
    ]


def _correct(models: pd.DataFrame) -> np.ndarray:
    return np.stack(models["test_correct"].to_list()).astype(bool)


def _share(
    factors: Sequence[int],
    curve: Sequence[np.ndarray],
    made: np.ndarray,
    seed: int,
    resamples: int,
) -> EquivalentShare | None:
    """None where no row has two models, because others failed."""
    if max(len(row) for row in [*curve, made]) < _LEAST:
        return None
    return equivalent_share(factors, curve, made, seed, resamples=resamples)


def _interval(share: EquivalentShare) -> Interval:
    return Interval(share.factor, share.low, share.high, share.n)
