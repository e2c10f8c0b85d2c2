"""Convergence: how much an estimate changes when a setting is doubled, or only its seeds change."""

import math

import numpy as np
import pandas as pd

from ....core.statistics.convergence import quantile_bound
from ....core.statistics.proportions import proportion_interval
from ....workers.schema import STATUS_OK
from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.emitter import Emitter, emitter
from ...reduce.groups import own_condition
from ...reduce.parts import RunTableError
from ...reduce.schema import DOUBLED, REPLICATE, SummaryRow
from ...reduce.tables import ITEM, succeeded
from ...report.verdict import SETTLED_NATS
from ..likelihood.densities import Densities, read_densities

# A probe has found something where it raises the modes' evidence by so many nats.
PROBE_NATS = 0.5


def reduce_convergence(context: ReduceContext) -> list[SummaryRow]:
    """Changes of every group by estimator and by what was varied: settings doubled, or the seeds.

    Their mean; the upper 95% bound of the 90% quantile of their size, null where too few images
    give none; and the largest. A mean alone misses a tenth of the images that gain 20 nats.
    """
    rows = []
    for densities, changes in doubling_changes(context):
        for generator in context.generators:
            keys = {"generator": generator.name, "condition": own_condition(generator)}
            emit = emitter(context, estimator=densities.estimator, **keys)
            mine = changes[changes["generator"] == generator.name]
            for group in context.groups:
                of_group = emit.at(group=group.name).seeded("doubling")
                for varied in DOUBLED:
                    members = mine[(mine["group"] == group.name) & (mine["varied"] == varied)]
                    if len(members):
                        rows += _change_rows(of_group.at(against=varied), members)
                        rows += _probe_rows(of_group, members)
                again = mine[(mine["group"] == group.name) & (mine["varied"] == REPLICATE)]
                if len(again):
                    rows += _replicate_rows(emit.at(group=group.name).seeded("replicate"), again)
    return rows


def replicates_apart(
    context: ReduceContext, estimator: str | None, generator: GeneratorInfo
) -> dict[str, float]:
    """By group, how far a replicate of an estimate is from the estimate, nats (`apart`)."""
    found: dict[str, float] = {}
    for densities, changes in doubling_changes(context):
        if densities.estimator == estimator:
            mine = changes[
                (changes["generator"] == generator.name) & (changes["varied"] == REPLICATE)
            ]
            for group, members in mine.groupby("group"):
                sizes = np.abs(_by_image(members))
                found[str(group)] = apart(quantile_bound(sizes), float(sizes.max()))
    return found


def apart(high: float, largest: float) -> float:
    """How far replicates lie apart: the bound for all but a tenth of the images.

    Where too few images give none it is the largest difference, which says less. Less than a nat is
    nothing: settled estimates differ by as much, and chance alone would overturn what is close.
    """
    found = largest if math.isnan(high) else high
    return found if found >= SETTLED_NATS else 0.0


def doubling_changes(context: ReduceContext) -> list[tuple[Densities, pd.DataFrame]]:
    """By estimator: rows that succeeded in both tables, and ``change`` of ln p in nats.

    Raises:
        RunTableError: a row of ``convergence`` without one in its estimator's table.
    """
    doubled = context.tables.read("convergence", ["log_likelihood", "probe_gain"])
    if doubled is None:
        return []
    doubled = succeeded(doubled)
    return [
        (densities, _changes(densities, doubled[doubled["estimator"] == densities.estimator]))
        for densities in read_densities(context.tables, ["log_likelihood"])
    ]


def _changes(densities: Densities, doubled: pd.DataFrame) -> pd.DataFrame:
    base = densities.frame[[*ITEM, "status", "log_likelihood"]]
    pairs = doubled.merge(base, on=ITEM, how="left", suffixes=("", "_base"))
    alone = pairs[pairs["status_base"].isna()]
    if len(alone):
        first = alone.iloc[0]
        raise RunTableError(
            f"convergence has {len(alone)} rows that {densities.stage} lacks, the first for image "
            f"{first['image_id']} under condition {first['condition']}: the run is not complete"
        )
    both = pairs[pairs["status_base"] == STATUS_OK]
    return both.assign(change=both["log_likelihood"] - both["log_likelihood_base"])


def _by_image(members: pd.DataFrame) -> np.ndarray:
    changes: np.ndarray = members.groupby("image_id")["change"].mean().to_numpy(np.float64)
    return changes


def _probe_rows(emit: Emitter, members: pd.DataFrame) -> list[SummaryRow]:
    gains = members["probe_gain"].dropna().to_numpy(np.float64)
    if not len(gains):
        return []
    better = int((gains >= PROBE_NATS).sum())
    return [emit.row("probe_found_share", proportion_interval(better, len(gains)))]


def _replicate_rows(emit: Emitter, members: pd.DataFrame) -> list[SummaryRow]:
    by_image = _by_image(members)
    sizes = np.abs(by_image)
    return [
        emit.mean_row("replicate_difference", by_image),
        emit.median_row("replicate_difference_median", sizes),
        emit.exact("replicate_difference_high", quantile_bound(sizes), len(sizes)),
        emit.exact("replicate_difference_max", float(sizes.max()), len(sizes)),
    ]


def _change_rows(emit: Emitter, members: pd.DataFrame) -> list[SummaryRow]:
    by_image = _by_image(members)
    sizes = np.abs(by_image)
    return [
        emit.mean_row("doubling_change", by_image),
        emit.exact("doubling_change_high", quantile_bound(sizes), len(sizes)),
        emit.exact("doubling_change_max", float(sizes.max()), len(sizes)),
    ]
