"""The scores of single images that the figures about patches and variation show."""

from dataclasses import dataclass

import numpy as np

from ..reduce.context import GeneratorInfo, ReduceContext
from ..reduce.densities import TRUSTED, read_densities
from ..reduce.image_scores import PairedScores
from ..reduce.patches import paired_densities
from ..reduce.tables import read_stage
from ..reduce.variation import paired_variation


@dataclass(frozen=True)
class ImageScores:
    """Two scores an image under its own class, by the trusted estimator where one is a density."""

    image_id: np.ndarray
    of_group: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def only(self, groups: list[str]) -> "ImageScores":
        """The images of some groups."""
        mine = np.isin(self.of_group, groups)
        return ImageScores(
            self.image_id[mine], self.of_group[mine], self.first[mine], self.second[mine]
        )


def patch_scores(context: ReduceContext, generator: GeneratorInfo) -> ImageScores | None:
    """The generator's ln p and the patch model's; None where a run does not have both."""
    patches = read_stage(context.run_dir, "patch_gmm", ["log_density"])
    densities = [
        d for d in read_densities(context.run_dir, ["log_likelihood"]) if d.stage == TRUSTED
    ]
    if patches is None or not densities:
        return None
    return _all(paired_densities(context, generator, densities[0], patches))


def variation_scores(context: ReduceContext, generator: GeneratorInfo) -> ImageScores | None:
    """Local variation and the generator's ln p; None where a run does not have both."""
    variation = read_stage(context.run_dir, "local_variation", ["variation"])
    densities = [
        d for d in read_densities(context.run_dir, ["log_likelihood"]) if d.stage == TRUSTED
    ]
    if variation is None or not densities:
        return None
    return _all(paired_variation(context, generator, densities[0], variation))


def _all(pairs: list[PairedScores]) -> ImageScores | None:
    own = [pair.own for pair in pairs]
    if not any(len(scores.first) for scores in own):
        return None
    return ImageScores(
        np.concatenate([scores.image_id for scores in own]),
        np.concatenate([scores.of_group for scores in own]),
        np.concatenate([scores.first for scores in own]),
        np.concatenate([scores.second for scores in own]),
    )
