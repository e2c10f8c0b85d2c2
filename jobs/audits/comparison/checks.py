"""What a spec must have for the comparison of estimators."""

from ...spec.audit import AuditSpec
from ..likelihood.settings import LIKELIHOOD
from .settings import COMPARISON


def check_comparison(spec: AuditSpec) -> None:
    """There are densities by another estimator.

    Raises:
        ValueError: naming the key and what to do.
    """
    comparison, likelihood = COMPARISON.of(spec.stages), LIKELIHOOD.of(spec.stages)
    if comparison is None:
        return
    if likelihood is None:
        raise ValueError("stages.comparison compares with likelihood: add `likelihood: {}`")
    if comparison.estimator == likelihood.estimator:
        raise ValueError(
            f"stages.comparison.estimator: {comparison.estimator} is already the estimator of "
            "stages.likelihood; a comparison needs the other one"
        )
