"""Settings of the mixture of Gaussians of image patches."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, doc

PatchMean = Literal["kept", "removed"]


@dataclass(frozen=True)
class MixtureSettings:
    """How a mixture is fitted, by expectation maximisation from k-means."""

    components: Annotated[int, Ge(1), doc("Gaussians of each mixture")] = 10
    covariance_floor: Annotated[
        float,
        Gt(0),
        doc(
            "added to the diagonals of the covariances, for images in [0, 1]: it plays the part of "
            "the generator's observation variance, and is best of its size"
        ),
    ] = 0.01
    patch_mean: Annotated[
        PatchMean,
        doc(
            "kept: the density is of a patch's pixels; removed: of the patch minus its mean over "
            "pixels and channels, in the space of one dimension less, as Zoran and Weiss (2011) do"
        ),
    ] = "kept"
    iterations: Annotated[int, Ge(1), doc("the most steps of expectation maximisation")] = 100
