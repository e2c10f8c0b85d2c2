"""How the observation variance is found."""

from typing import Literal

from pydantic import Field

from ...spec.model import ShardItems, SpecModel
from ...spec.stages import StageKey


class VarianceSpec(SpecModel):
    """The observation variance: fitted to the reconstructed training images, or a value.

    ``estimator: marginal`` maximises the marginal likelihood; ``profile`` is the papers' mean
    squared error [IP B.3], which is low by a factor of 1 - d/D and so convicts a perfect model.
    ``fit: half`` fits it on one half of the training images, classes as even as they can be, and
    leaves the verdicts about training images to the other half; ``all`` is the papers' way.
    """

    value: float | None = Field(default=None, gt=0)
    estimator: Literal["marginal", "profile"] = "marginal"
    fit: Literal["half", "all"] = "half"
    shard_items: ShardItems = 16

    @property
    def fits_curves(self) -> bool:
        """Whether it needs each image's reconstructions along a grid of variances."""
        return self.value is None and self.estimator == "marginal"


VARIANCE: StageKey[VarianceSpec] = StageKey("variance", VarianceSpec)
