"""What a spec must have for LPIPS of reconstructions."""

from ...spec.audit import AuditSpec
from ..inversion.settings import INVERSION
from .settings import PERCEPTUAL


def check_perceptual(spec: AuditSpec) -> None:
    """There are reconstructions.

    Raises:
        ValueError: naming the key and what to do.
    """
    if PERCEPTUAL.of(spec.stages) is not None and INVERSION.of(spec.stages) is None:
        raise ValueError(
            "stages.perceptual measures reconstructions: add `inversion: {}`, or remove it"
        )
