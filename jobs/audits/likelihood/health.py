"""The health of annealed importance sampling: what its numbers may be trusted for."""

import math

import numpy as np
import pandas as pd

from ....core.statistics.bootstrap import Interval
from ....core.statistics.means import mean_interval
from ....core.statistics.medians import median_interval
from ....core.statistics.proportions import proportion_interval
from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.schema import OWN, SummaryRow, summary_row
from ...reduce.tables import list_means, succeeded
from .densities import Densities, read_densities

PRIOR_COMPONENT = -1

_COLUMNS = (
    "log_likelihood",
    "acceptance",
    "step_size",
    "effective_sample_size",
    "evaluations",
    "best_chain_share",
    "settled",
    "modes",
    "chain_log_weights",
    "chain_component",
    "upper_bound",
)
_MEDIANS = ("step_size",)
_SHARES = ("settled_share", "prior_won_share")


def reduce_health(context: ReduceContext) -> list[SummaryRow]:
    """How the chains of each estimator fared, what they cost, and the sandwich gap."""
    rows = []
    for densities in read_densities(context.tables, _COLUMNS):
        chains = succeeded(densities.frame)
        for generator in context.generators:
            mine = chains[chains["generator"] == generator.name]
            for group in context.groups:
                members = mine[mine["group"] == group.name]
                if len(members):
                    rows += _chain_rows(context, generator, group.name, densities, members)
            rows += _sandwich_rows(context, generator, densities, mine)
    return rows


def _chain_rows(
    context: ReduceContext,
    generator: GeneratorInfo,
    group: str,
    densities: Densities,
    members: pd.DataFrame,
) -> list[SummaryRow]:
    rows = []
    by_image = _chain_values(members).groupby(members["image_id"]).mean()
    seed = context.seed_of("health", generator.name, group)
    for name in by_image.columns:
        values = by_image[name].dropna().to_numpy(np.float64)
        if not len(values):
            continue
        rows.append(
            summary_row(
                name,
                _interval(name, values, seed, context.resamples),
                generator=generator.name,
                group=group,
                estimator=densities.estimator,
            )
        )
    return rows


def _chain_values(members: pd.DataFrame) -> pd.DataFrame:
    """The metrics of every row; nan where only guided rows have them, or those with a tolerance."""
    columns = ["effective_sample_size", "evaluations", "best_chain_share", "modes"]
    return members[columns].assign(
        acceptance=list_means(members["acceptance"]),
        step_size=[float(np.median(sizes)) for sizes in members["step_size"]],
        settled_share=members["settled"].map({True: 1.0, False: 0.0}).astype(np.float64),
        prior_won_share=[
            math.nan
            if component is None
            else float(component[np.argmax(weights)] == PRIOR_COMPONENT)
            for component, weights in zip(
                members["chain_component"], members["chain_log_weights"], strict=True
            )
        ],
    )


def _interval(name: str, by_image: np.ndarray, seed: int, resamples: int) -> Interval:
    if name in _MEDIANS:
        return median_interval(by_image)
    if name not in _SHARES:
        return mean_interval(by_image, seed, resamples=resamples)
    if np.isin(by_image, (0.0, 1.0)).all():
        return proportion_interval(int(by_image.sum()), len(by_image))
    # An image under several classes has a share of its own: a mean, and no share is beyond 0 or 1.
    mean = mean_interval(by_image, seed, resamples=resamples)
    low, high = np.clip([mean.low, mean.high], 0, 1).tolist()
    return Interval(mean.value, low, high, mean.n)


def _sandwich_rows(
    context: ReduceContext, generator: GeneratorInfo, densities: Densities, mine: pd.DataFrame
) -> list[SummaryRow]:
    rows = []
    for name, bounded in mine[mine["upper_bound"].notna()].groupby("group"):
        gap = (bounded["upper_bound"] - bounded["log_likelihood"]).to_numpy(np.float64)
        seed = context.seed_of("sandwich", generator.name, str(name))
        nats = mean_interval(gap, seed, resamples=context.resamples)
        middle = median_interval(gap)
        per_nat = 1 / (generator.dimensions * np.log(2))
        bits = Interval(nats.value * per_nat, nats.low * per_nat, nats.high * per_nat, nats.n)
        rows += [
            summary_row(
                metric,
                interval,
                generator=generator.name,
                condition=OWN,
                group=str(name),
                estimator=densities.estimator,
            )
            for metric, interval in (
                ("sandwich_gap", nats),
                ("sandwich_gap_median", middle),
                ("sandwich_gap_bits_per_dim", bits),
            )
        ]
    return rows
