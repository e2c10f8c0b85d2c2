"""Whether patches fit the images."""

from ...spec.audit import AuditSpec
from ...spec.facts import Facts
from ..patches.checks import require_grid
from .settings import LOCAL_VARIATION


def check_variation(spec: AuditSpec, facts: Facts) -> None:
    """A patch fits.

    Raises:
        SpecError: naming the key and what to do.
    """
    if LOCAL_VARIATION.of(spec.stages) is not None:
        require_grid(LOCAL_VARIATION.name, facts)
