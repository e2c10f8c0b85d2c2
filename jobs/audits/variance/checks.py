"""What a spec must have for the observation variance."""

from ...spec.audit import AuditSpec
from ..inversion.settings import INVERSION
from .settings import VARIANCE


def check_variance(spec: AuditSpec) -> None:
    """A fitted variance needs training images, and their reconstructions in squared error.

    Raises:
        ValueError: naming the key and what to do.
    """
    variance, inversion = VARIANCE.of(spec.stages), INVERSION.of(spec.stages)
    if variance is None or variance.value is not None:
        return
    if inversion is None:
        raise ValueError(
            "stages.variance is fitted to reconstructions: add `inversion: {}`, "
            "or give `variance: {value: ...}`"
        )
    if inversion.distance == "lpips":
        raise ValueError(
            "stages.variance is fitted to squared errors, but stages.inversion.distance is "
            "lpips: use `distance: mse`, or give `variance: {value: ...}`"
        )
    if "train" not in [group.role for group in spec.groups]:
        raise ValueError(
            "stages.variance is fitted to training images, but no group has role `train`: add "
            "one, or give `variance: {value: ...}`"
        )
