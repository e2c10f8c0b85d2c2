"""The stages, in an order in which each finds what it needs complete."""

from ..plan.stage import Stage
from ..spec.audit import AuditSpec
from .comparison.plan import STAGE as COMPARISON
from .convergence.plan import STAGE as CONVERGENCE
from .images.plan import STAGE as IMAGES
from .inversion.plan import STAGE as INVERSION
from .likelihood.plan import STAGE as LIKELIHOOD
from .likelihood.tuning_plan import STAGE as TUNING
from .neighbours.plan import STAGE as NEIGHBOURS
from .null_audit.fit_plan import STAGE as NULL_FIT
from .null_audit.likelihood_plan import STAGE as NULL_LIKELIHOOD
from .null_audit.variance_plan import STAGE as NULL_VARIANCE
from .patches.fit_plan import STAGE as PATCH_FIT
from .patches.plan import STAGE as PATCH_GMM
from .perceptual.plan import STAGE as PERCEPTUAL
from .sensing.plan import STAGE as SENSING
from .sensing.ppca_plan import STAGE as PPCA
from .sweep.plan import STAGE as SWEEP
from .variance.fit_plan import STAGE as VARIANCE_FIT
from .variance.plan import STAGE as VARIANCE
from .variation.plan import STAGE as LOCAL_VARIATION

STAGES: tuple[Stage, ...] = (
    IMAGES,
    NEIGHBOURS,
    PATCH_FIT,
    INVERSION,
    PERCEPTUAL,
    VARIANCE_FIT,
    VARIANCE,
    NULL_FIT,
    NULL_VARIANCE,
    PATCH_GMM,
    LOCAL_VARIATION,
    TUNING,
    LIKELIHOOD,
    NULL_LIKELIHOOD,
    COMPARISON,
    CONVERGENCE,
    SWEEP,
    PPCA,
    SENSING,
)


def stages_of(spec: AuditSpec) -> list[Stage]:
    """The stages that a spec asks for, in order."""
    return [stage for stage in STAGES if stage.enabled(spec)]
