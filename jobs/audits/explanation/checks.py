"""What a spec must have for densities to be explained."""

from ...spec.audit import AuditSpec
from ..inversion.settings import INVERSION
from ..likelihood.settings import LIKELIHOOD
from .settings import EXPLANATION


def check_explanation(spec: AuditSpec) -> None:
    """There are densities, and latents to start from.

    Raises:
        ValueError: naming the key and what to do.
    """
    if EXPLANATION.of(spec.stages) is None:
        return
    if LIKELIHOOD.of(spec.stages) is None:
        raise ValueError("stages.explanation explains densities: add `likelihood: {}`")
    if INVERSION.of(spec.stages) is None:
        raise ValueError("stages.explanation starts from inversions: add `inversion: {}`")
