"""Likelihood: mean log density and bits per dimension of each group."""

from dataclasses import replace

import numpy as np

from ....core.image_metrics import bits_per_dim
from ....core.statistics.interval import Interval
from ....core.statistics.two_sample import NO_SHIFT, Shift
from ....core.statistics.typicality import widened
from ...reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from ...reduce.emitter import Emitter
from ...reduce.groups import GroupValues, density_conditions, group_values
from ...reduce.schema import SummaryRow
from ..inversion.best_errors import read_best_errors
from ..variance.reduce import ObservationVariance, judged_groups, read_variance
from .densities import each_density


def reduce_likelihood(context: ReduceContext) -> list[SummaryRow]:
    """Mean ln p(x) and bits/dim of every group, under each density it has, by each estimator.

    The error of the fitted variance is in the intervals, and the training images that it was
    fitted to are left out.
    """
    rows = []
    frame = read_best_errors(context.tables)
    for emit, densities, generator in each_density(context):
        variance = read_variance(context, generator)
        errors = {} if frame is None else group_values(context, frame, "mse", generator)
        groups = judged_groups(context, densities.frame, "log_likelihood", generator)
        for name, values in groups.items():
            shift = _variance_error(generator, variance, errors.get(name), values.group)
            for condition in density_conditions(values):
                density = values.log_density(condition)
                if len(density):
                    of_group = emit.at(group=name, condition=condition)
                    rows += _density_rows(of_group, generator, density, shift)
    return rows


def _density_rows(
    emit: Emitter, generator: GeneratorInfo, density: np.ndarray, shift: Shift
) -> list[SummaryRow]:
    emit = emit.seeded("likelihood", emit.keys["condition"])
    nats = widened(emit.mean(density), shift)
    bounds = np.array([nats.value, nats.low, nats.high])
    value, low, high = bits_per_dim(bounds, generator.dimensions).tolist()
    return emit.rows(
        [("log_likelihood_mean", nats), ("bits_per_dim", Interval(value, low, high, nats.n))]
    )


def _variance_error(
    generator: GeneratorInfo,
    variance: ObservationVariance | None,
    errors: GroupValues | None,
    group: GroupInfo,
) -> Shift:
    """What the variance's own error does to a group's mean ln p.

    Of images x it moves by (|x - G(z)|^2 / sigma^2 - (D - d)) / 2 for each unit of ln sigma^2,
    which is nothing for the images that it was fitted to; simulated images move with it.
    """
    if variance is None:
        return NO_SHIFT
    if group.role == "simulated":
        return variance.shift
    known = np.empty(0) if errors is None else errors.own_values()
    if not len(known):
        return NO_SHIFT
    left = generator.dimensions - variance.degrees
    excess = generator.dimensions * float(known.mean()) / variance.interval.value - left
    return replace(variance.shift, standard_error=abs(excess) / 2 * variance.log_standard_error)
