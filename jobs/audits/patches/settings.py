"""How the patch model is fitted."""

from pydantic import Field

from ....core.settings.patch_mixture import MixtureSettings, PatchMean
from ...spec.model import ReferenceSpec, ShardItems, setting
from ...spec.stages import StageKey


class PatchGMMSpec(ReferenceSpec):
    """The patch-GMM [HU 3]: a Gaussian mixture of the reference set's 8x8 patches, one per class.

    At most ``max_patches`` of a class's patches are fitted, those of randomly chosen images.
    """

    components: int = setting(MixtureSettings, "components")
    covariance_floor: float = setting(MixtureSettings, "covariance_floor")
    patch_mean: PatchMean = setting(MixtureSettings, "patch_mean")
    max_patches: int = Field(default=10_000, ge=1)
    iterations: int = setting(MixtureSettings, "iterations")
    shard_items: ShardItems = 1024


PATCH_GMM: StageKey[PatchGMMSpec] = StageKey("patch_gmm", PatchGMMSpec)
