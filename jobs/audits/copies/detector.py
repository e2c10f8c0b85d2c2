"""The verdict on copies, tried on culprits that know the training images."""

import numpy as np
import torch

from ....core.culprits.culprit import Culprit
from ....core.statistics.copies import NEAREST, share_of_copies
from ....core.statistics.views import nearest_view, pixel_views, view_nearness
from ....workers.resources import Resources
from ...plan.stage import AuditContext
from ...report.verdict import ERROR_RATE
from ..detector import Detector, real_images

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

    def convicts(culprit: Culprit, repeats: int) -> list[bool]:
        return [_convicts(culprit, context.seed("calibrate", repeat)) for repeat in range(repeats)]

    def _convicts(culprit: Culprit, seed: int) -> bool:
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(images)))
        mine, others = order[:half], images[order[half:]]
        made, _ = culprit.make(images[mine], labels[mine], seed)
        return _speaks(among_training, made, others) and not _speaks(among_placebo, made, others)

    note = (
        f"copies: {half:,} generated and {len(images) - half:,} held-out images among "
        f"{len(real.training):,} training images; an audit has other numbers, and more power with "
        "more."
    )
    return Detector("copies", real, convicts, (note,))


def _speaks(among: "_Nearness", made: torch.Tensor, others: torch.Tensor) -> bool:
    try:
        found = share_of_copies(among.of(made), among.of(others))
    except ValueError:
        # All held-out images are at distance 0: an audit answers nothing.
        return False
    return found.p_value <= ERROR_RATE


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
