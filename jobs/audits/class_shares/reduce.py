"""Class shares of every generator's images, against those of held-out real ones."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ....core.classifiers.answers import confusion_counts
from ....core.statistics.annotated_shares import (
    check_errors_alike,
    corrected_share_intervals,
    most_hidden,
)
from ....core.statistics.class_shares import (
    compare_shares,
    effective_classes,
    share_ratio,
    total_variation_interval,
)
from ....core.statistics.inception_score import SPLITS, inception_score
from ....core.statistics.interval import Interval
from ....core.statistics.proportions import proportion_interval
from ...reduce.context import ReduceContext
from ...reduce.emitter import Emitter, emitter
from ...reduce.schema import SummaryRow, class_condition
from ...reduce.tables import succeeded
from .annotator_plan import JOINT, attributes_are_better, right_by_attribute
from .plan import HELD_OUT

JOINT_CLASSES = "all classes"
"""The summary's condition of the annotator of all combinations of attributes."""
BY_ATTRIBUTE = "every attribute"
"""That of the annotators of single attributes, together."""


@dataclass(frozen=True)
class Annotated:
    """Images that the annotator labelled: logits [N, C], its labels [N], classes [N] or -1."""

    logits: np.ndarray
    predicted: np.ndarray
    label: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """How many images were given each label [C]."""
        return np.bincount(self.predicted, minlength=self.logits.shape[1])


def annotated(context: ReduceContext, generator: str | None) -> Annotated | None:
    """A generator's annotated images, or with None the held-out real ones; None without any."""
    frame = context.tables.read("annotations", ["predicted", "logits"])
    if frame is None:
        return None
    found = succeeded(frame)
    mine = found["group"] == HELD_OUT if generator is None else found["generator"] == generator
    rows: pd.DataFrame = found[mine]
    if rows.empty:
        return None
    # In the order of the images' numbers, which is that of their ids.
    rows = rows.sort_values("image_id")
    return Annotated(
        np.stack(rows["logits"].to_list()).astype(np.float64),
        rows["predicted"].to_numpy(np.int64),
        rows["label"].to_numpy(np.int64),
    )


def reduce_class_shares(context: ReduceContext) -> list[SummaryRow]:
    """Rows for each generator; those of real images are the same under each."""
    real = annotated(context, None)
    if real is None:
        return []
    rows: list[SummaryRow] = []
    for generator in context.generators:
        made = annotated(context, generator.name)
        if made is None:
            continue
        emit = emitter(context, generator=generator.name, group=None).seeded("class shares")
        rows += _annotator(context, emit, real)
        rows += _shares(emit, made, real)
        rows += _by_class(emit, made, real)
        rows += _answers(emit, made, real)
    return rows


def _annotator(context: ReduceContext, emit: Emitter, real: Annotated) -> list[SummaryRow]:
    columns = ["train_accuracy", "images", "train_confusion", "test_confusion", "test_correct"]
    frame = context.tables.read("annotator", columns)
    rows = []
    if frame is not None and len(found := succeeded(frame)):
        by_name: dict[str, dict[str, Any]] = {
            str(each["image_id"]): {str(key): value for key, value in each.items()}
            for each in found.to_dict("records")
        }
        row = by_name.pop(JOINT)
        learned = int(row["images"])
        classes = real.logits.shape[1]
        known = [
            np.asarray(row[f"{name}_confusion"], dtype=np.int64).reshape(classes, classes).sum(1)
            for name in ("train", "test")
        ]
        of_data = compare_shares(known[0], known[1], emit.seed)
        rows = [emit.exact("class_shares_data_p_value", of_data.p_value, learned)]
        if not attributes_are_better([row, *by_name.values()]):
            rows.append(emit.exact("annotator_train_accuracy", row["train_accuracy"], learned))
        rows += _alone(emit, row, by_name)
    right = int((real.predicted == real.label).sum())
    interval = proportion_interval(right, len(real.label))
    return [*rows, emit.row("annotator_test_accuracy", interval)]


def _alone(
    emit: Emitter, joint: dict[str, Any], single: dict[str, dict[str, Any]]
) -> list[SummaryRow]:
    """Of classes by attributes: each annotator, the joint one, and those of attributes together."""
    if not single:
        return []
    right = {
        JOINT_CLASSES: np.asarray(joint["test_correct"]),
        BY_ATTRIBUTE: right_by_attribute(list(single.values())),
        **{name: np.asarray(row["test_correct"]) for name, row in single.items()},
    }
    return [
        emit.at(condition=name).row(
            "annotator_alone_accuracy", proportion_interval(int(each.sum()), len(each))
        )
        for name, each in right.items()
    ]


def _shares(emit: Emitter, made: Annotated, real: Annotated) -> list[SummaryRow]:
    first, second = made.counts, real.counts
    test, size = compare_shares(first, second, emit.seed), len(made.predicted)
    rows = [
        emit.row("class_total_variation", _distance(first, second, emit.seed)),
        emit.exact("class_total_variation_floor", test.floor, size),
        emit.exact("class_total_variation_reach", test.reach, size),
        emit.exact("class_shares_chi_squared", test.chi_squared, size),
        emit.exact("class_shares_p_value", test.p_value, size),
        emit.row("effective_classes", effective_classes(first)),
        emit.row("effective_classes_real", effective_classes(second)),
    ]
    # The null: real images in the place of generated ones, the other half in the place of the data.
    order = np.random.default_rng(emit.seed).permutation(real.predicted)
    classes, half = len(second), len(order) // 2
    if half:
        halves = [np.bincount(part, minlength=classes) for part in (order[:half], order[half:])]
        null = compare_shares(halves[0], halves[1], emit.seed)
        rows.append(emit.exact("class_shares_null_p_value", null.p_value, half))
    return rows


def _distance(first: np.ndarray, second: np.ndarray, seed: int) -> Interval:
    """Total variation; its interval holds the observed one too.

    Classes that were asked for in the shares of the data are nearer to these than samples are, so
    that even no difference may be refused as too large.
    """
    found = total_variation_interval(first, second, seed)
    return replace(found, high=max(found.high, found.value))


def _by_class(emit: Emitter, made: Annotated, real: Annotated) -> list[SummaryRow]:
    first, second = made.counts, real.counts
    n, m = int(first.sum()), int(second.sum())
    confusion = confusion_counts(real.label, real.predicted, len(second))
    corrected = None
    rows: list[SummaryRow] = []
    if (confusion.sum(axis=1) > 0).all():
        corrected = corrected_share_intervals(first, confusion, emit.seed)
        if math.isfinite(hidden := most_hidden(confusion)):
            rows.append(emit.exact("class_total_variation_hidden", hidden, m))
    for index, (x, y) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        of_class = emit.at(condition=class_condition(index))
        rows += [
            of_class.row("class_share", proportion_interval(x, n)),
            of_class.row("class_share_real", proportion_interval(y, m)),
            of_class.row("class_share_ratio", share_ratio(x, n, y, m)),
        ]
        if corrected is not None:
            rows.append(of_class.row("class_share_corrected", corrected[index]))
    return rows


def _answers(emit: Emitter, made: Annotated, real: Annotated) -> list[SummaryRow]:
    rows = []
    if np.isin(np.arange(real.logits.shape[1]), real.label).all():
        alike = check_errors_alike(made.logits, real.logits, real.label, emit.seed)
        rows.append(emit.exact("annotator_likeness_p_value", alike.p_value, len(made.predicted)))
    if (made.label >= 0).all():
        right = int((made.predicted == made.label).sum())
        rows.append(emit.row("label_correctness", proportion_interval(right, len(made.label))))
    for metric, images in (
        ("annotator_inception_score", made),
        ("annotator_inception_score_real", real),
    ):
        if len(images.logits) >= SPLITS:
            # Images are in an order of their own: held-out ones may be sorted by class.
            order = np.random.default_rng(emit.seed).permutation(len(images.logits))
            score = inception_score(images.logits[order])
            rows.append(emit.exact(metric, score.mean, score.n))
    return rows
