"""What a spec must have for densities."""

from ...spec.audit import AuditSpec
from ..variance.settings import VARIANCE
from .estimators import all_estimators
from .settings import LIKELIHOOD


def check_likelihood(spec: AuditSpec) -> None:
    """Densities have a variance, and simulated images have densities.

    Raises:
        ValueError: naming the key and what to do.
    """
    if LIKELIHOOD.of(spec.stages) is not None and VARIANCE.of(spec.stages) is None:
        raise ValueError(
            "stages.likelihood has no variance source: add `variance: {}` next to `inversion` "
            "to fit it to the training images, or `variance: {value: ...}`"
        )
    roles = [group.role for group in spec.groups]
    if "simulated" in roles and not all_estimators(spec.stages):
        raise ValueError(
            "a group with role `simulated` is only used by the likelihood: add `likelihood: {}` "
            "or remove the group"
        )
