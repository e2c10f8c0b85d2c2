"""The verdict on class shares, tried on culprits: every image is annotated once, then drawn."""

import numpy as np
import torch

from ....core.classifiers.answers import logits_of
from ....core.culprits.culprit import Culprit
from ....core.quantisation import quantise
from ....core.statistics.class_shares import compare_shares
from ....workers.resources import Resources
from ...plan.stage import AuditContext
from ...report.summary import number
from ...report.verdict import ERROR_RATE, Tone
from ..detector import Detector, real_images
from .annotator_plan import real_levels
from .plan import annotated_images
from .settings import ANNOTATOR, CLASS_SHARES
from .trained_annotator import annotator_here

# A culprit chooses anew so often which class it drops, or which clusters; repeats take turns.
_MAKINGS = 5
_BATCH = 512


def class_shares_detector(context: AuditContext, resources: Resources) -> Detector:
    """Trains the annotator, and has it label the held-out images.

    Of these labels, and of those of what a culprit makes of the same images, a repeat draws as many
    as an audit has, independently: both sides are samples, of shares that are known.
    """
    real = real_images(context, resources, ANNOTATOR.name, CLASS_SHARES.name)
    labels = _Labels(context, resources)
    held_out = labels.shares(real.held_out)
    size = min(annotated_images(context, each) for each in context.facts.generators.values())
    length = context.facts.references[CLASS_SHARES.name].length
    assert length is not None, "validation refuses a reference set without end"
    note, decides = _data(context)

    def answers(culprit: Culprit, repeats: int) -> list[Tone]:
        made = [
            labels.shares(
                culprit.make(
                    real.held_out,
                    real.held_out_labels,
                    context.seed("calibrate", culprit.name, making),
                )[0]
            )
            for making in range(_MAKINGS)
        ]
        found: list[Tone] = []
        for repeat in range(repeats):
            # The real side of a repeat is the same for all culprits.
            rng = np.random.default_rng(context.seed("calibrate", "real", repeat))
            theirs = rng.multinomial(length, held_out)
            half = rng.multivariate_hypergeometric(theirs, length // 2)
            rng = np.random.default_rng(context.seed("calibrate", culprit.name, "made", repeat))
            mine = rng.multinomial(size, made[repeat % _MAKINGS])
            said = decides and compare_shares(mine, theirs, repeat).p_value < ERROR_RATE
            # Where real images are told from real ones, the verdict is open.
            said = said and compare_shares(half, theirs - half, repeat).p_value >= ERROR_RATE
            found.append("bad" if said else "open")
        return found

    sizes = f"class_shares: {size:,} generated against {length:,} held-out images, as in an audit."
    return Detector("class_shares", real, answers, (sizes, *note))


class _Labels:
    """The trained annotator's labels of images."""

    def __init__(self, context: AuditContext, resources: Resources) -> None:
        self._classifier = annotator_here(context, resources)
        self._levels = real_levels(context)
        self._device = resources.device

    def shares(self, images: torch.Tensor) -> np.ndarray:
        """The share of each label [classes], of images rounded as generated ones are."""
        rounded = quantise(images.clamp(0, 1), self._levels)
        predicted = [
            logits_of(self._classifier, batch.to(self._device)).argmax(axis=1)
            for batch in rounded.split(_BATCH)
        ]
        counts = np.bincount(np.concatenate(predicted), minlength=self._classifier.classes)
        return np.asarray(counts / counts.sum())


def _data(context: AuditContext) -> tuple[tuple[str, ...], bool]:
    """Whether the verdict is open whatever a generator does, since real images' shares differ."""
    if all(each.num_classes for each in context.facts.generators.values()):
        return (), True
    counts = [
        np.bincount(np.asarray(context.facts.references[stage].labels or (), dtype=np.int64))
        for stage in (ANNOTATOR.name, CLASS_SHARES.name)
    ]
    found = compare_shares(counts[0], counts[1], context.seed("calibrate", "data"))
    if found.p_value >= ERROR_RATE:
        return (), True
    return (
        "class_shares: the images that the annotator learns from have other class shares than the "
        f"held-out ones (p = {number(found.p_value, 2)}), so that nothing is decided against a "
        "generator that takes no class.",
    ), False
