"""An audit's verdict as a detector: what it says of generators whose faults are known."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float, Int64
from torch import Tensor

from ...core.culprits.culprit import Culprit
from ...workers.resources import Resources
from ..plan.stage import AuditContext


@dataclass(frozen=True)
class RealImages:
    """Images in [0, 1] of the user's own, with classes: some to copy from, others to change.

    ``training`` images are of those that generators learn from, ``held_out`` ones of those that
    nothing has learned from.
    """

    training: Float[Tensor, "training channels height width"]
    training_labels: Int64[Tensor, " training"]
    held_out: Float[Tensor, "held channels height width"]
    held_out_labels: Int64[Tensor, " held"]


@dataclass(frozen=True)
class Detector:
    """``name`` is the audit's; ``convicts(culprit, repeats)`` says of each repeat whether it does.

    A repeat is an audit of the culprit as large as the spec's, with other images on both sides.
    ``notes`` say what the user should know besides.
    """

    name: str
    convicts: Callable[[Culprit, int], list[bool]]
    notes: tuple[str, ...] = ()


# What an audit brings to be tried: it is called once the spec and its images have been checked.
DetectorMaker = Callable[[AuditContext, Resources, RealImages], Detector]
