"""Does the density follow the local variation of an image? [IP Fig. 7]."""

import numpy as np
import pandas as pd

from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.emitter import Emitter, Keys
from ...reduce.groups import GroupValues, own_density
from ...reduce.image_scores import (
    OwnScores,
    PairedScores,
    and_with_outliers,
    own_correlations,
    pair_scores,
)
from ...reduce.schema import SummaryRow
from ...reduce.tables import succeeded
from ..likelihood.densities import Densities, each_density
from ..likelihood.image_pairs import scores_beside_density


def reduce_variation(context: ReduceContext) -> list[SummaryRow]:
    """Mean local variation of every group, and its correlation with ln p under the own class.

    The group that outliers are held against is also taken together with them.
    """
    variation = context.tables.read("local_variation", ["variation"])
    if variation is None:
        return []
    rows = _means(context, variation)
    for emit, densities, generator in each_density(context):
        pairs = paired_variation(context, generator, densities, variation)
        for pair in and_with_outliers(context, pairs):
            keyed = emit.at(condition=own_density(generator))
            rows += own_correlations(keyed, "variation_correlation", pair)
    return rows


def paired_variation(
    context: ReduceContext, generator: GeneratorInfo, densities: Densities, variation: pd.DataFrame
) -> list[PairedScores]:
    """Local variation (first) and the generator's ln p (second) by group."""
    known = succeeded(variation)
    by_image = pd.Series(known["variation"].to_numpy(np.float64), index=known["image_id"])
    groups = densities.groups(context, generator)
    spread = {name: _as_values(values, by_image) for name, values in groups.items()}
    return pair_scores(spread, groups, ("local_variation", densities.stage))


def _as_values(values: GroupValues, by_image: "pd.Series[float]") -> GroupValues:
    """The variation in the shape of the densities: the same under every class."""
    mine = by_image.reindex(pd.Index(values.image_id)).to_numpy(np.float64)
    return GroupValues(
        group=values.group,
        image_id=values.image_id,
        label=values.label,
        own_class=values.own_class,
        by_class=np.repeat(mine[:, None], values.by_class.shape[1], axis=1),
        conditional=values.conditional,
        classes=values.classes,
    )


def _means(context: ReduceContext, variation: pd.DataFrame) -> list[SummaryRow]:
    rows = []
    known = succeeded(variation)
    makers = known["generator"].where(known["generator"].notna(), "")
    for (group, maker), members in known.groupby(["group", makers]):
        seed = context.seed_of("variation", group, maker)
        values = members.sort_values("image_id")["variation"].to_numpy(np.float64)
        keys: Keys = {"generator": str(maker) or None, "group": str(group)}
        rows.append(Emitter(context, keys, seed).mean_row("local_variation_mean", values))
    return rows


def variation_scores(context: ReduceContext, generator: GeneratorInfo) -> OwnScores | None:
    """Local variation and the generator's ln p; None where a run does not have both."""
    return scores_beside_density(
        context, generator, "local_variation", "variation", paired_variation
    )
