"""Likelihood: mean log density and bits per dimension of each group, and the variance behind."""

import numpy as np

from ...core.image_metrics import bits_per_dim
from ...core.statistics.bootstrap import Interval
from ...core.statistics.means import mean_interval
from .context import GeneratorInfo, ReduceContext
from .densities import read_densities
from .groups import GroupValues, density_conditions, group_values
from .schema import SummaryRow, exact, summary_row
from .tables import read_stage, succeeded


def reduce_likelihood(context: ReduceContext) -> list[SummaryRow]:
    """Mean ln p(x) and bits/dim of every group, under each density it has, by each estimator."""
    rows = _variances(context)
    for densities in read_densities(context.run_dir, ["log_likelihood"]):
        for generator in context.generators:
            groups = group_values(context, densities.frame, "log_likelihood", generator)
            for values in groups.values():
                for condition in density_conditions(values):
                    rows += _group_rows(context, generator, values, condition, densities.estimator)
    return rows


def _group_rows(
    context: ReduceContext,
    generator: GeneratorInfo,
    values: GroupValues,
    condition: str,
    estimator: str | None,
) -> list[SummaryRow]:
    density = values.log_density(condition)
    if len(density) == 0:
        return []
    seed = context.seed_of("likelihood", generator.name, values.group.name, condition)
    nats = mean_interval(density, seed, resamples=context.resamples)
    bounds = np.array([nats.value, nats.low, nats.high])
    value, low, high = bits_per_dim(bounds, generator.dimensions).tolist()
    return [
        summary_row(
            metric,
            interval,
            generator=generator.name,
            condition=condition,
            group=values.group.name,
            estimator=estimator,
        )
        for metric, interval in (
            ("log_likelihood_mean", nats),
            ("bits_per_dim", Interval(value, low, high, nats.n)),
        )
    ]


def _variances(context: ReduceContext) -> list[SummaryRow]:
    frame = read_stage(context.run_dir, "variance", ["variance", "n"])
    if frame is None:
        return []
    return [
        summary_row(
            "variance",
            exact(float(variance), 0 if images != images else int(images)),
            generator=str(generator),
        )
        for generator, variance, images in succeeded(frame)[
            ["generator", "variance", "n"]
        ].itertuples(index=False)
    ]
