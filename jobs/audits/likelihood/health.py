"""The health of annealed importance sampling: what its numbers may be trusted for."""

import math

import numpy as np
import pandas as pd

from ....core.settings.guided import PRIOR_COMPONENT
from ....core.statistics.interval import Interval
from ....core.statistics.medians import median_interval
from ....core.statistics.proportions import proportion_interval
from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.emitter import Emitter
from ...reduce.schema import OWN, SummaryRow
from ...reduce.tables import list_means, succeeded
from .densities import each_density

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
    for emit, densities, generator in each_density(context, _COLUMNS):
        chains = succeeded(densities.frame)
        mine = chains[chains["generator"] == generator.name]
        by_group = dict(list(mine.groupby("group")))
        for group in context.groups:
            if group.name in by_group:
                rows += _chain_rows(emit.at(group=group.name), by_group[group.name])
        for name, bounded in mine[mine["upper_bound"].notna()].groupby("group"):
            rows += _sandwich_rows(emit.at(group=str(name), condition=OWN), generator, bounded)
    return rows


def _chain_rows(emit: Emitter, members: pd.DataFrame) -> list[SummaryRow]:
    by_image = _chain_values(members).groupby(members["image_id"]).mean()
    chains = float(members["chain_log_weights"].dropna().map(len).max())
    known = {name: by_image[name].dropna().to_numpy(np.float64) for name in by_image.columns}
    emit = emit.seeded("health")
    return [
        emit.row(name, _interval(emit, name, values, chains))
        for name, values in known.items()
        if len(values)
    ]


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


def _interval(emit: Emitter, name: str, by_image: np.ndarray, chains: float) -> Interval:
    if name in _MEDIANS:
        return median_interval(by_image)
    if name in _SHARES and np.isin(by_image, (0.0, 1.0)).all():
        return proportion_interval(int(by_image.sum()), len(by_image))
    # An image under several classes has a share of its own: a mean, and no share is beyond 0 or 1.
    mean = emit.mean(by_image)
    low, high = np.clip([mean.low, mean.high], *_possible(name, chains)).tolist()
    return Interval(mean.value, low, high, mean.n)


def _possible(name: str, chains: float) -> tuple[float, float]:
    """Between what a metric lies, whatever the interval of a mean of few values says."""
    if name == "effective_sample_size":
        return 1.0, chains
    if name == "best_chain_share":
        return 1 / chains, 1.0
    return 0.0, math.inf if name in ("evaluations", "modes") else 1.0


def _sandwich_rows(
    emit: Emitter, generator: GeneratorInfo, bounded: pd.DataFrame
) -> list[SummaryRow]:
    upper = bounded["upper_bound"].to_numpy(np.float64)
    gap = upper - bounded["log_likelihood"].to_numpy(np.float64)
    nats = emit.seeded("sandwich").mean(gap)
    per_nat = 1 / (generator.dimensions * np.log(2))
    bits = Interval(nats.value * per_nat, nats.low * per_nat, nats.high * per_nat, nats.n)
    return [
        emit.seeded("upper").mean_row("log_likelihood_upper", upper),
        emit.row("sandwich_gap", nats),
        emit.median_row("sandwich_gap_median", gap),
        emit.row("sandwich_gap_bits_per_dim", bits),
    ]
