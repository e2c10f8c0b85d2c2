"""The verdict on copies, tried on culprits that know the training images."""

import numpy as np
import torch

from ....core.culprits.copies import REPLAYS, copying_culprits
from ....core.culprits.culprit import Culprit, OneClassError
from ....core.statistics.copies import NEAREST, Copies, detectable_share, share_of_copies
from ....core.statistics.views import nearest_view, pixel_views, view_nearness
from ....workers.resources import Resources
from ...plan.stage import AuditContext
from ...report.summary import Estimate
from ...report.verdict import Answer, Tone
from ..detector import Detector, RealImages, real_images
from .answer import SEEN, Evidence, answer_on_copies
from .plan import PLANTED_IMAGES

# The placebo compares with this part of the held-out images, as the audit's does with half of them.
_PLACEBO_PART = 1 / 3


def copies_detector(context: AuditContext, resources: Resources) -> Detector:
    """Held-out images in three parts: for the placebo, to rank among, to make culprits from.

    The second and the third are dealt anew in each repeat. The control that held-out images lie
    among training images as these do is not in it: it says nothing of a generator.
    """
    real = real_images(context, resources, "copies", "copies.held_out")
    count = max(NEAREST, round(_PLACEBO_PART * len(real.held_out)))
    among_training, among_placebo = _Nearness(real.training), _Nearness(real.held_out[:count])
    images, labels = real.held_out[count:], real.held_out_labels[count:]
    half = len(images) // 2
    planted = _planted(real, among_training, context.seed("calibrate", "planted"))

    def answers(culprit: Culprit, repeats: int) -> list[Tone]:
        return [_answer(culprit, context.seed("calibrate", repeat)) for repeat in range(repeats)]

    def _answer(culprit: Culprit, seed: int) -> Tone:
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(images)))
        mine, others = order[:half], images[order[half:]]
        try:
            made, _ = culprit.make(images[mine], labels[mine], seed)
        except OneClassError:
            # None of a rare class was dealt to it: this repeat says nothing.
            return "open"
        found = _share(among_training, made, others)
        if found is None:
            return "open"
        placebo = _share(among_placebo, made, others)
        unseen = [kind for kind, near in planted.items() if np.mean(near <= found.threshold) < SEEN]
        share = found.share
        answer, _, _ = answer_on_copies(
            Evidence(
                found.p_value,
                Estimate(share.value, share.low, share.high, share.n, None),
                None if placebo is None else placebo.p_value,
                1.0,
                unseen,
            )
        )
        return _TONES[answer]

    ranked = len(images) - half
    note = (
        f"copies: {half:,} generated and {ranked:,} held-out images among {len(real.training):,} "
        "training images; an audit has other numbers, more power with more, and asks besides "
        "whether held-out images lie as training images do. "
        f"{_power(half, ranked)}"
    )
    return Detector("copies", real, answers, (note,))


_TONES: dict[Answer, Tone] = {"yes": "bad", "no": "good", "undecided": "open"}


def _power(made: int, held_out: int) -> str:
    """The smallest share of copies that so many images show."""
    least = detectable_share(made, held_out)
    if least > 1:
        return "With so few images not even copies alone could be told."
    return f"A share of {least:.1%} would be found in 95 of 100 repeats."


def _planted(real: RealImages, among: "_Nearness", seed: int) -> dict[str, np.ndarray]:
    """Nearness of planted copies of training images, by kind, as an audit plants them."""
    chosen = torch.from_numpy(
        np.random.default_rng(seed).permutation(len(real.training))[:PLANTED_IMAGES]
    )
    images, labels = real.training[chosen], real.training_labels[chosen]
    return {
        culprit.name: among.of(culprit.make(images, labels, seed)[0])
        for culprit in copying_culprits(images, labels)
        if culprit.name in REPLAYS
    }


def _share(among: "_Nearness", made: torch.Tensor, others: torch.Tensor) -> Copies | None:
    """None where all held-out images are at distance 0: an audit answers nothing."""
    try:
        return share_of_copies(among.of(made), among.of(others))
    except ValueError:
        return None


class _Nearness:
    """The least nearness over views among some images; of each image it is computed once."""

    def __init__(self, references: torch.Tensor) -> None:
        self._references = references
        self._known: dict[bytes, float] = {}

    def of(self, images: torch.Tensor) -> np.ndarray:
        """Nearness [images] in the view in which it is least."""
        keys = [each.numpy().tobytes() for each in images]
        new = {key: place for place, key in enumerate(keys) if key not in self._known}
        if new:
            queries = images[list(new.values())]
            found = view_nearness(queries, self._references, pixel_views())
            self._known |= dict(zip(new, nearest_view(found)[0].tolist(), strict=True))
        return np.array([self._known[key] for key in keys])
