"""What a spec must have for doubling settings."""

from ...spec.audit import AuditSpec
from ..likelihood.settings import LIKELIHOOD
from .settings import CONVERGENCE


def check_convergence(spec: AuditSpec) -> None:
    """There are densities.

    Raises:
        ValueError: naming the key and what to do.
    """
    if CONVERGENCE.of(spec.stages) is not None and LIKELIHOOD.of(spec.stages) is None:
        raise ValueError("stages.convergence compares with likelihood: add `likelihood: {}`")
