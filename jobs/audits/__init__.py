"""The audits, in order: that of the stages, of the page, of every list of them.

A further audit is a folder here and a line in :data:`AUDITS`; docs/add-an-audit.md shows how.
"""

from ...workers.schema import TableSchema
from ..plan.stage import Stage
from ..reduce.schema import Metric
from ..report.conclusion import Concluder
from ..spec.audit import AuditSpec
from .across.blame.audit import AUDIT as BLAME
from .across.class_densities.audit import AUDIT as CLASS_DENSITIES
from .across.classification.audit import AUDIT as CLASSIFICATION
from .across.collapse.audit import AUDIT as COLLAPSE
from .across.failures.audit import AUDIT as FAILURES
from .across.outliers.audit import AUDIT as OUTLIERS
from .across.ranking.audit import AUDIT as RANKING
from .across.recovery.audit import AUDIT as RECOVERY
from .across.standing.audit import AUDIT as STANDING
from .across.typicality.audit import AUDIT as TYPICALITY
from .audit import Audit
from .class_shares.audit import AUDIT as CLASS_SHARES
from .comparison.audit import AUDIT as COMPARISON
from .convergence.audit import AUDIT as CONVERGENCE
from .copies.audit import AUDIT as COPIES
from .distances.audit import AUDIT as DISTANCES
from .diversity.audit import AUDIT as DIVERSITY
from .explanation.audit import AUDIT as EXPLANATION
from .feature_copies.audit import AUDIT as FEATURE_COPIES
from .images.audit import AUDIT as IMAGES
from .inversion.audit import AUDIT as INVERSION
from .latent_paths.audit import AUDIT as LATENT_PATHS
from .likelihood.audit import AUDIT as LIKELIHOOD
from .neighbours.audit import AUDIT as NEIGHBOURS
from .null_audit.audit import AUDIT as NULL_AUDIT
from .patches.audit import AUDIT as PATCHES
from .perceptual.audit import AUDIT as PERCEPTUAL
from .segments.audit import AUDIT as SEGMENTS
from .sensing.audit import AUDIT as SENSING
from .support.audit import AUDIT as SUPPORT
from .sweep.audit import AUDIT as SWEEP
from .variance.audit import AUDIT as VARIANCE
from .variation.audit import AUDIT as VARIATION

AUDITS: tuple[Audit, ...] = (
    IMAGES,
    INVERSION,
    PERCEPTUAL,
    VARIANCE,
    LIKELIHOOD,
    NULL_AUDIT,
    OUTLIERS,
    RANKING,
    TYPICALITY,
    CLASSIFICATION,
    CLASS_DENSITIES,
    NEIGHBOURS,
    RECOVERY,
    COPIES,
    LATENT_PATHS,
    SUPPORT,
    PATCHES,
    VARIATION,
    EXPLANATION,
    SENSING,
    CLASS_SHARES,
    DIVERSITY,
    COLLAPSE,
    SEGMENTS,
    BLAME,
    DISTANCES,
    FEATURE_COPIES,
    STANDING,
    COMPARISON,
    CONVERGENCE,
    SWEEP,
    FAILURES,
)

STAGES: tuple[Stage, ...] = tuple(stage for audit in AUDITS for stage in audit.stages)
"""Every stage, in an order in which each finds what it needs complete."""

TABLES: tuple[TableSchema, ...] = tuple(stage.table for stage in STAGES)
"""Every table that a run may have, in the order of the stages."""

METRICS: dict[str, Metric] = {
    **{name: metric for audit in AUDITS for name, metric in audit.metrics.items()},
    **{
        f"failed_rows_{stage.name}": Metric(
            f"rows of stage {stage.name} with status != ok", "lower", "count"
        )
        for stage in STAGES
    },
}
"""Every metric that a summary may have, by name."""

CONCLUDERS: tuple[Concluder, ...] = tuple(
    audit.conclude for audit in AUDITS if audit.conclude is not None
)
"""What every audit's findings that rest on densities conclude."""


def stages_of(spec: AuditSpec) -> list[Stage]:
    """The stages that a spec asks for, in order."""
    return [stage for stage in STAGES if stage.enabled(spec)]
