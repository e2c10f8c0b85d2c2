"""Are the densities possible? Each group's bits per dimension against what its errors allow."""

import numpy as np

from .....core.image_metrics import bits_per_dim, bits_per_dim_bound
from .....core.statistics.means import mean_interval
from ....reduce.context import GeneratorInfo, ReduceContext
from ....reduce.groups import GroupValues, density_conditions, group_values
from ....reduce.schema import MARGINAL, SummaryRow, exact, summary_row
from ....reduce.tables import succeeded
from ...inversion.best_errors import read_bounding_errors
from ...likelihood.densities import read_densities


def reduce_density_bound(context: ReduceContext) -> list[SummaryRow]:
    """The bound on bits/dim of every group, and what lies above it, by each estimator.

    An image's bound is that of the least error that any stage found under its own class, or for the
    marginal under any: the marginal is at most the largest class density. What lies above it is an
    error of the estimate, or of every search. Estimate and bound are of the same images.
    """
    variances = context.tables.read("variance", ["variance"])
    if variances is None:
        return []
    fitted = succeeded(variances)
    variance = dict(zip(fitted["generator"], fitted["variance"], strict=True))
    rows = []
    for densities in read_densities(context.tables, ["log_likelihood"]):
        bounding = read_bounding_errors(context, densities.frame)
        for generator in context.generators:
            if generator.name not in variance:
                continue
            errors = group_values(context, bounding, "mse", generator)
            groups = group_values(context, densities.frame, "log_likelihood", generator)
            for name in [name for name in groups if name in errors]:
                rows += _group_rows(
                    context,
                    generator,
                    densities.estimator,
                    groups[name],
                    errors[name],
                    float(variance[generator.name]),
                )
    return rows


def _group_rows(
    context: ReduceContext,
    generator: GeneratorInfo,
    estimator: str | None,
    values: GroupValues,
    errors: GroupValues,
    variance: float,
) -> list[SummaryRow]:
    rows = []
    _, mine, theirs = np.intersect1d(values.image_id, errors.image_id, return_indices=True)
    for condition in density_conditions(values):
        density = values.log_densities(condition)[mine]
        error = errors.by_class.min(axis=1) if condition == MARGINAL else errors.own
        both = ~np.isnan(density) & ~np.isnan(error[theirs])
        if not both.any():
            continue
        estimate = bits_per_dim(density[both], generator.dimensions)
        bound = bits_per_dim_bound(error[theirs][both], variance)
        seed = context.seed_of("bound", generator.name, values.group.name, condition)
        violated = float(estimate.mean() > bound.mean())
        above = int(np.sum(estimate > bound))
        rows += [
            summary_row(
                metric,
                interval,
                generator=generator.name,
                condition=condition,
                group=values.group.name,
                estimator=estimator,
            )
            for metric, interval in (
                (
                    "bits_per_dim_bound",
                    mean_interval(bound, seed, resamples=context.resamples),
                ),
                ("bound_violated", exact(violated, len(bound))),
                ("images_above_bound", exact(above, len(bound))),
            )
        ]
    return rows
