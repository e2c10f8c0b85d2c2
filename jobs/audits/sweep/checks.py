"""What a spec must have for a sweep."""

from ...spec.audit import AuditSpec
from ..likelihood.settings import LIKELIHOOD
from ..variance.settings import VARIANCE
from .settings import SWEEP


def check_sweep(spec: AuditSpec) -> None:
    """There are estimators, named once, a variance, and simulated images to recommend by.

    Raises:
        ValueError: naming the key and what to do.
    """
    sweep, likelihood = SWEEP.of(spec.stages), LIKELIHOOD.of(spec.stages)
    if sweep is None:
        return
    if VARIANCE.of(spec.stages) is None:
        raise ValueError(
            "stages.sweep has no variance source: add `variance: {}` next to `inversion`, or "
            "`variance: {value: ...}`"
        )
    if likelihood is None and sweep.estimators is None:
        raise ValueError(
            "stages.sweep has nothing to sweep: add `likelihood: {}`, or give `sweep: "
            "{estimators: [...]}`"
        )
    if likelihood is not None and sweep.estimators is not None:
        raise ValueError(
            "stages.sweep.estimators: the estimators of likelihood and comparison are already "
            "swept; remove this key, or those stages"
        )
    if "simulated" not in [group.role for group in spec.groups]:
        raise ValueError(
            "stages.sweep needs simulated images to recommend a number, but no group has role "
            "`simulated`: add one"
        )
