"""What the house needs to know of LPIPS of reconstructions."""

from ...spec.audit import AuditSpec
from ..audit import Audit
from .checks import check_perceptual
from .metrics import METRICS
from .plan import STAGE
from .reduce import reduce_perceptual
from .settings import PERCEPTUAL


def _lpips_keys(spec: AuditSpec) -> list[str]:
    return [] if PERCEPTUAL.of(spec.stages) is None else ["stages.perceptual"]


AUDIT = Audit(
    name="perceptual",
    title="Reconstruction in LPIPS",
    settings=(PERCEPTUAL,),
    spec_checks=(check_perceptual,),
    lpips_keys=_lpips_keys,
    stages=(STAGE,),
    metrics=METRICS,
    reducers=(reduce_perceptual,),
    method=(
        "LPIPS between each image and its reconstruction, regardless of what the inversion "
        "minimised [IP Table 3].",
    ),
)
