"""Another score of single images beside their density."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.image_scores import OwnScores, PairedScores
from .densities import TRUSTED, Densities, read_densities

Pairing = Callable[[ReduceContext, GeneratorInfo, Densities, pd.DataFrame], list[PairedScores]]


def scores_beside_density(
    context: ReduceContext, generator: GeneratorInfo, stage: str, column: str, pairing: Pairing
) -> OwnScores | None:
    """Both scores of every image under its own class, its density by the trusted estimator."""
    table = context.tables.read(stage, [column])
    densities = [
        d for d in read_densities(context.tables, ["log_likelihood"]) if d.stage == TRUSTED
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
