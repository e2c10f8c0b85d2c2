"""The stages, in an order in which each finds what it needs complete."""

from ..spec import AuditSpec
from . import (
    comparison,
    convergence,
    images,
    inversion,
    likelihood,
    local_variation,
    neighbours,
    null_fit,
    null_likelihood,
    null_variance,
    patch_fit,
    patch_gmm,
    perceptual,
    ppca,
    sensing,
    sweep,
    tuning,
    variance,
    variance_fit,
)
from .stage import Stage

STAGES: tuple[Stage, ...] = (
    images.STAGE,
    neighbours.STAGE,
    patch_fit.STAGE,
    inversion.STAGE,
    perceptual.STAGE,
    variance_fit.STAGE,
    variance.STAGE,
    null_fit.STAGE,
    null_variance.STAGE,
    patch_gmm.STAGE,
    local_variation.STAGE,
    tuning.STAGE,
    likelihood.STAGE,
    null_likelihood.STAGE,
    comparison.STAGE,
    convergence.STAGE,
    sweep.STAGE,
    ppca.STAGE,
    sensing.STAGE,
)


def stages_of(spec: AuditSpec) -> list[Stage]:
    """The stages that a spec asks for, in order."""
    return [stage for stage in STAGES if stage.enabled(spec)]
