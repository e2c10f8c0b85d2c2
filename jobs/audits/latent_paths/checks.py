"""Whether there are enough images, and the held-out ones are others."""

from ....core.statistics.copies import NEAREST
from ...spec.audit import AuditSpec
from ...spec.facts import Facts
from ...spec.loading import SpecError
from ..copies.checks import check_both_sets
from .settings import LATENT_PATHS


def check_latent_paths(spec: AuditSpec, facts: Facts) -> None:
    """There are nearest images along the paths, and held-out ones in two halves for the control.

    Raises:
        SpecError: naming the key and what to do.
    """
    settings = LATENT_PATHS.of(spec.stages)
    if settings is None:
        return
    check_both_sets(facts, LATENT_PATHS.name)
    if settings.images < 2 * NEAREST:
        raise SpecError(
            f"stages.latent_paths.images: {settings.images} held-out images, but each half of them "
            f"must have {NEAREST}; ask for at least {2 * NEAREST}"
        )
