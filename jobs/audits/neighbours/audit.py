"""What the house needs to know of nearest neighbours."""

from ...spec.audit import AuditSpec
from ..audit import Audit
from .plan import STAGE
from .settings import NEIGHBOURS


def _lpips_keys(spec: AuditSpec) -> list[str]:
    neighbours = NEIGHBOURS.of(spec.stages)
    uses = neighbours is not None and "lpips" in neighbours.spaces
    return ["stages.neighbours.spaces"] if uses else []


AUDIT = Audit(
    name="neighbours",
    title="Nearest neighbours",
    settings=(NEIGHBOURS,),
    lpips_keys=_lpips_keys,
    stages=(STAGE,),
    method=(
        "The nearest image of a reference set, over all and within each class, exact and in "
        "blocks: the baseline of outlier detection and classification.",
    ),
)
