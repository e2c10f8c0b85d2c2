"""Convergence: how much each estimate changes when one of its settings is doubled."""

import numpy as np
import pandas as pd

from ....core.statistics.convergence import quantile_bound
from ....workers.schema import STATUS_OK
from ...reduce.context import ReduceContext
from ...reduce.emitter import Emitter, emitter
from ...reduce.groups import own_condition
from ...reduce.parts import RunTableError
from ...reduce.schema import DOUBLED, SummaryRow
from ...reduce.tables import ITEM, succeeded
from ..likelihood.densities import Densities, read_densities


def reduce_convergence(context: ReduceContext) -> list[SummaryRow]:
    """Changes of every group by estimator and by what was doubled.

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
    return rows


def doubling_changes(context: ReduceContext) -> list[tuple[Densities, pd.DataFrame]]:
    """By estimator: rows that succeeded in both tables, and ``change`` of ln p in nats.

    Raises:
        RunTableError: a row of ``convergence`` without one in its estimator's table.
    """
    doubled = context.tables.read("convergence", ["log_likelihood"])
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


def _change_rows(emit: Emitter, members: pd.DataFrame) -> list[SummaryRow]:
    by_image = members.groupby("image_id")["change"].mean().to_numpy(np.float64)
    sizes = np.abs(by_image)
    return [
        emit.mean_row("doubling_change", by_image),
        emit.exact("doubling_change_high", quantile_bound(sizes), len(sizes)),
        emit.exact("doubling_change_max", float(sizes.max()), len(sizes)),
    ]
