"""The terms of densities, and densities against code lengths."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ....core.statistics.copies import benjamini_hochberg
from ....core.statistics.outliers import marginal_auc
from ....core.statistics.two_sided import count_unlike, two_sided_p_values
from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.emitter import Emitter, emitter
from ...reduce.groups import own_density
from ...reduce.schema import SummaryRow
from ...reduce.tables import succeeded
from ..likelihood.densities import TRUSTED, each_density
from .scores import Explained, compared_pairs, read_code_lengths

LEVEL = 0.05
"""At which an image is unlike held-out ones, and the rate of false discoveries."""
FEWEST_HELD_OUT = 19
"""With fewer held-out images no p-value reaches the level."""
TERMS = ("fit", "prior", "volume")


def reduce_terms(context: ReduceContext) -> list[SummaryRow]:
    """Mean fit, prior and volume of each group, and what is left of ln p."""
    frame = context.tables.read("density_terms", TERMS)
    if frame is None:
        return []
    rows: list[SummaryRow] = []
    for emit, densities, generator in each_density(context):
        if densities.stage == TRUSTED:
            for name, values in densities.groups(context, generator).items():
                density = pd.Series(values.own, index=values.image_id)
                found = _terms_of(frame, generator, name)
                known = found.assign(total=density.reindex(found.index)).dropna()
                if len(known):
                    keyed = emit.at(group=name, condition=own_density(generator))
                    rows += _term_rows(keyed.seeded("explanation"), known)
    return rows


def _terms_of(frame: pd.DataFrame, generator: GeneratorInfo, group: str) -> pd.DataFrame:
    mine = succeeded(frame[(frame["generator"] == generator.name) & (frame["group"] == group)])
    return mine.set_index("image_id").sort_index()[list(TERMS)]


def _term_rows(emit: Emitter, terms: pd.DataFrame) -> Iterator[SummaryRow]:
    columns = {name: terms[name].to_numpy(np.float64) for name in TERMS}
    columns["rest"] = terms["total"].to_numpy(np.float64) - sum(columns.values())
    for name, values in columns.items():
        yield emit.mean_row(f"density_{name}_mean", values)


def reduce_code_lengths(context: ReduceContext) -> list[SummaryRow]:
    """Mean code length of every group; data have the same under every generator."""
    frame = context.tables.read("code_lengths", ["code_length"])
    if frame is None:
        return []
    rows, known = [], succeeded(frame)
    makers = known["generator"].where(known["generator"].notna(), "")
    dimensions = context.generators[0].dimensions
    for (group, maker), members in known.groupby(["group", makers]):
        bits = members.sort_values("image_id")["code_length"].to_numpy(np.float64)
        emit = emitter(context, generator=str(maker) or None, group=str(group))
        rows.append(emit.seeded("code length").mean_row("code_length_mean", bits / dimensions))
    return rows


def reduce_complexity(context: ReduceContext) -> list[SummaryRow]:
    """AUCs of the density, the code length and both, and how many images are unlike held-out ones.

    The latter only against test images: those that a model learned from are no reference.
    """
    lengths = read_code_lengths(context)
    if lengths is None or context.inliers is None:
        return []
    rows: list[SummaryRow] = []
    for emit, densities, generator in each_density(context):
        for condition, mine, inliers in compared_pairs(context, generator, densities, lengths):
            keyed = emit.at(group=mine.group, against=inliers.group, condition=condition)
            rows += _auc_rows(keyed, mine, inliers)
            if context.inliers.role == "test" and len(inliers.scores) >= FEWEST_HELD_OUT:
                rows += _unlike_rows(keyed, mine, inliers)
    return rows


def _auc_rows(emit: Emitter, mine: Explained, inliers: Explained) -> Iterator[SummaryRow]:
    pairs = {
        "plain_auc": (-inliers.log_density, -mine.log_density),
        "code_length_auc": (inliers.code_length, mine.code_length),
        "corrected_auc": (inliers.excess, mine.excess),
    }
    for metric, (others, own) in pairs.items():
        found = marginal_auc(
            others, own, failed_inliers=inliers.failed, failed_outliers=mine.failed
        )
        yield emit.row(metric, found.interval)


def _unlike_rows(emit: Emitter, mine: Explained, inliers: Explained) -> Iterator[SummaryRow]:
    p_values = two_sided_p_values(mine.scores, inliers.scores)
    unlike = count_unlike(p_values, len(inliers.scores), LEVEL)
    yield emit.row("unlike_share", unlike.share)
    yield emit.exact("unlike_p", unlike.p_value, len(p_values))
    found = int(benjamini_hochberg(p_values, LEVEL).sum())
    yield emit.exact("unlike_found", found, len(p_values))
