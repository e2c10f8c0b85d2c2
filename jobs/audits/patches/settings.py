"""How the patch model is fitted."""

from typing import Literal

from pydantic import Field

from ...spec.model import ReferenceSpec
from ...spec.stages import StageKey


class PatchGMMSpec(ReferenceSpec):
    """The patch-GMM [HU 3]: a Gaussian mixture of the reference set's 8x8 patches, one a class.

    At most ``max_patches`` of a class's patches are fitted, those of randomly chosen images.
    ``covariance_floor`` is added to the diagonals of the covariances, on [0, 1]: it plays
    the part of the generator's observation variance, and is best of its size. ``patch_mean``
    removed takes each patch's mean out of it first, as Zoran and Weiss (2011) do.
    """

    components: int = Field(default=10, ge=1)
    covariance_floor: float = Field(default=0.01, gt=0)
    patch_mean: Literal["kept", "removed"] = "kept"
    max_patches: int = Field(default=10_000, ge=1)
    iterations: int = Field(default=100, ge=1)
    shard_items: int = Field(default=1024, ge=1)


PATCH_GMM: StageKey[PatchGMMSpec] = StageKey("patch_gmm", PatchGMMSpec)
