"""The scores of single images that the figures about patches and variation show."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from ..audits.likelihood.densities import TRUSTED, Densities, read_densities
from ..audits.patches.reduce import paired_densities
from ..audits.variation.reduce import paired_variation
from ..reduce.context import GeneratorInfo, ReduceContext
from ..reduce.image_scores import OwnScores, PairedScores
from ..reduce.tables import read_stage

Pairing = Callable[[ReduceContext, GeneratorInfo, Densities, pd.DataFrame], list[PairedScores]]


def patch_scores(context: ReduceContext, generator: GeneratorInfo) -> OwnScores | None:
    """The generator's ln p and the patch model's; None where a run does not have both."""
    return _scores(context, generator, "patch_gmm", "log_density", paired_densities)


def variation_scores(context: ReduceContext, generator: GeneratorInfo) -> OwnScores | None:
    """Local variation and the generator's ln p; None where a run does not have both."""
    return _scores(context, generator, "local_variation", "variation", paired_variation)


def _scores(
    context: ReduceContext, generator: GeneratorInfo, stage: str, column: str, pairing: Pairing
) -> OwnScores | None:
    """Both scores of every image under its own class, its density by the trusted estimator."""
    table = read_stage(context.run_dir, stage, [column])
    densities = [
        d for d in read_densities(context.run_dir, ["log_likelihood"]) if d.stage == TRUSTED
    ]
    if table is None or not densities:
        return None
    own = [pair.own for pair in pairing(context, generator, densities[0], table)]
    if not any(len(scores.first) for scores in own):
        return None
    return OwnScores(
        np.concatenate([scores.image_id for scores in own]),
        np.concatenate([scores.of_group for scores in own]),
        np.concatenate([scores.first for scores in own]),
        np.concatenate([scores.second for scores in own]),
    )
