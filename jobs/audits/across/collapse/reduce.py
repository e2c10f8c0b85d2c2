"""Class shares over the checkpoints of a training, and what generators' shares have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from .....core.statistics.collapse_over_time import (
    Concordance,
    chance_concordance,
    concordance,
    dominant_classes,
    share_ratios,
    trend,
)
from ....reduce.context import GeneratorInfo, ReduceContext
from ....reduce.emitter import emitter
from ....reduce.schema import SummaryRow
from ....reduce.tables import succeeded
from ...class_shares.plan import HELD_OUT
from .series import finished, steps, trainings

Labels = Mapping[str | None, np.ndarray]


def annotated_labels(context: ReduceContext) -> Labels:
    """The annotator's labels of each generator's images, and under None of the held-out ones.

    In the order of the images' numbers; empty where nothing was annotated, or one side failed.
    """
    frame = context.tables.read("annotations", ["predicted"])
    if frame is None:
        return {}
    found = succeeded(frame).sort_values("image_id")
    labels: dict[str | None, np.ndarray] = {
        generator.name: found["predicted"][found["generator"] == generator.name].to_numpy(np.int64)
        for generator in context.generators
    }
    labels[None] = found["predicted"][found["group"] == HELD_OUT].to_numpy(np.int64)
    known = {name: each for name, each in labels.items() if len(each)}
    return known if None in known else {}


def class_count(labels: Labels) -> int:
    """How many classes there are among them all."""
    return 1 + max(int(each.max()) for each in labels.values())


def counted(labels: Labels, members: Sequence[GeneratorInfo], classes: int) -> np.ndarray:
    """Labels of each class [members, classes], of as many images of every member."""
    fewest = min(len(labels[each.name]) for each in members)
    return np.stack(
        [np.bincount(labels[each.name][:fewest], minlength=classes) for each in members]
    )


def reduce_collapse(context: ReduceContext) -> list[SummaryRow]:
    """Rows for each checkpoint of a training, and for all generators together."""
    labels = annotated_labels(context)
    if not labels:
        return []
    rows = []
    for members in trainings(context.generators):
        rows += _training(context, labels, [each for each in members if each.name in labels])
    return rows + _together(context, labels)


def _training(
    context: ReduceContext, labels: Labels, members: Sequence[GeneratorInfo]
) -> list[SummaryRow]:
    if not members:
        return []
    classes = class_count(labels)
    counts = counted(labels, members, classes)
    real = np.bincount(labels[None], minlength=classes)
    shares = counts / counts.sum(axis=1, keepdims=True)
    distances = 0.5 * np.abs(shares - real / real.sum()).sum(axis=1)
    dominance, times = dominant_classes(counts, real), steps(members)
    rows = []
    for place, member in enumerate(members):
        emit, seen = emitter(context, generator=member.name), place + 1
        rows.append(emit.exact("dominant_class", int(dominance.classes[place]), seen))
        if place:
            switches = np.sum(np.diff(dominance.classes[:seen]) != 0)
            line = trend(times[:seen], distances[:seen])
            rows.append(emit.exact("dominant_class_switches", int(switches), seen))
            rows.append(emit.row("class_total_variation_trend", line))
    return rows


def favoured_together(
    made: Sequence[np.ndarray], real: Sequence[np.ndarray], seed: int
) -> Concordance | None:
    """Whether generators favour the same classes, from the labels of each one's images.

    ``real`` are those of the held-out images of each one's annotator. Each generator is held
    against other images of these: against the same ones all would seem to favour what these happen
    to lack, and of honest generators nearly every test would say so. The p-value is the larger of
    two: of generators that favour classes independently of each other, and of generators that
    favour none, whose W is large all the same where some classes are rare. None below two
    generators, or where fewer than two classes are among the real images of each.
    """
    if len(made) < 2:
        return None
    classes = 1 + max(int(each.max()) for each in (*made, *real))
    parts = []
    for place, labels in enumerate(real):
        # Sets of equal size, which may be one set, are cut in the same way.
        order = np.random.default_rng(seed).permutation(labels)
        parts.append(np.bincount(np.array_split(order, len(made))[place], minlength=classes))
    counts = np.stack([np.bincount(labels, minlength=classes) for labels in made])
    ratios, there = share_ratios(counts[None], np.stack(parts)[None])
    if there.sum() < 2:
        return None
    found = concordance(ratios[0][:, there[0]], seed)
    by_chance = chance_concordance(
        found.w,
        [len(labels) for labels in made],
        [int(part.sum()) for part in parts],
        np.stack([_common_shares(place, counts, real) for place in range(len(made))]),
        seed,
    )
    return replace(found, p_value=max(found.p_value, by_chance))


def _common_shares(place: int, counts: np.ndarray, real: Sequence[np.ndarray]) -> np.ndarray:
    """Class shares of a generator's real images, under the null also of those made.

    Of these and of the images of all generators that are held against them.
    """
    alike = [np.array_equal(each, real[place]) for each in real]
    pooled = np.bincount(real[place], minlength=counts.shape[1]) + counts[alike].sum(axis=0)
    return np.asarray(pooled / pooled.sum())


def _together(context: ReduceContext, labels: Labels) -> list[SummaryRow]:
    made = [labels[each.name] for each in finished(context.generators) if each.name in labels]
    seed = context.seed_of("shared collapse")
    found = favoured_together(made, [labels[None]] * len(made), seed)
    if found is None:
        return []
    emit = emitter(context, generator=None)
    return [
        emit.exact("shared_collapse", found.w, len(made)),
        emit.exact("shared_collapse_p_value", found.p_value, len(made)),
    ]
