"""An audit's verdict as a detector: what it says of generators whose faults are known."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ...core.culprits.culprit import Culprit
from ...workers.datasets import ImageError, shard_image_set
from ...workers.resources import Resources
from ..plan.stage import AuditContext
from ..report.verdict import Tone
from ..spec.loading import SpecError
from .images.plan import reference_settings

# Culprits are made from so many images of a set, chosen at random, or from all of a smaller one.
MOST_IMAGES = 2000


@dataclass(frozen=True)
class RealImages:
    """Images in [0, 1] of the user's own: some to copy from, others to change.

    ``training`` images are of those that generators learn from, ``held_out`` ones of those that
    nothing has learned from. Labels are classes, or 0 where images have none.
    """

    training: Float[Tensor, "training channels height width"]
    training_labels: Int64[Tensor, " training"]
    held_out: Float[Tensor, "held channels height width"]
    held_out_labels: Int64[Tensor, " held"]


@dataclass(frozen=True)
class Detector:
    """``name`` is the audit's; ``answers(culprit, repeats)`` says for whom each repeat speaks.

    Against the culprit, for it, or for neither: "bad", "good" or "open". A repeat is an audit of
    the culprit, with other images on both sides. Culprits are made from the ``real`` images.
    ``notes`` say how large the audits are, and what the user should know besides.
    """

    name: str
    real: RealImages
    answers: Callable[[Culprit, int], list[Tone]]
    notes: tuple[str, ...] = ()


DetectorMaker = Callable[[AuditContext, Resources], Detector]
"""What an audit brings to be tried: called once the spec and its images have been checked."""


def real_images(
    context: AuditContext, resources: Resources, training: str, held_out: str
) -> RealImages:
    """At most `MOST_IMAGES` of each of two reference sets, named by their stages' keys.

    Those that cannot be used are left out.

    Raises:
        SpecError: none can be used.
    """
    return RealImages(
        *_chosen(context, training, resources), *_chosen(context, held_out, resources)
    )


def _chosen(context: AuditContext, stage: str, resources: Resources) -> tuple[Tensor, Tensor]:
    images = shard_image_set(reference_settings(context, stage), resources)
    length = context.facts.references[stage].length
    assert length is not None, "validation refuses a reference set without end"
    order = np.random.default_rng(context.seed("calibrate", stage)).permutation(length)
    pixels, labels, problem = [], [], ""
    for index in order[:MOST_IMAGES].tolist():
        try:
            image, label = images.image(index)
        except ImageError as error:
            problem = str(error)
            continue
        pixels.append(image)
        labels.append(0 if label is None else label)
    if not pixels:
        raise SpecError(f"stages.{stage}: none of its images can be read: {problem}")
    return torch.from_numpy(np.stack(pixels)), torch.tensor(labels)
