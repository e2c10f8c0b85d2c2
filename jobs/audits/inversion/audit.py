"""What the house needs to know of inversion."""

from ...spec.audit import AuditSpec
from ..audit import Audit
from .metrics import METRICS
from .plan import STAGE
from .question import on_manifold
from .reduce import reduce_reconstruction
from .section import manifold_section, pictures_section
from .settings import INVERSION


def _lpips_keys(spec: AuditSpec) -> list[str]:
    inversion = INVERSION.of(spec.stages)
    uses = inversion is not None and inversion.distance == "lpips"
    return ["stages.inversion.distance"] if uses else []


AUDIT = Audit(
    name="inversion",
    title="Reconstruction",
    settings=(INVERSION,),
    lpips_keys=_lpips_keys,
    stages=(STAGE,),
    metrics=METRICS,
    reducers=(reduce_reconstruction,),
    sections=(manifold_section, pictures_section),
    questions=(on_manifold,),
    method=(
        "Each image is inverted: from the nearest latents of a bank, Adam searches for the one "
        "whose image is nearest [IP B.2], and Levenberg-Marquardt ends the best searches.",
        "An image's error is the smallest that any stage of the run found, provided it searched "
        "all images in the same way.",
    ),
)
