"""Are the densities possible? Each group's bits per dimension against what its errors allow."""

from collections.abc import Iterator

import numpy as np

from .....core.image_metrics import bits_per_dim, bits_per_dim_bound, log_likelihood_bound
from ....reduce.context import GeneratorInfo, ReduceContext
from ....reduce.emitter import Emitter, emitter
from ....reduce.groups import GroupValues, density_conditions, group_values
from ....reduce.schema import MARGINAL, SummaryRow
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
    rows: list[SummaryRow] = []
    for densities in read_densities(context.tables, ["log_likelihood"]):
        bounding = read_bounding_errors(context, densities.frame)
        for generator in context.generators:
            if generator.name not in variance:
                continue
            emit = emitter(context, generator=generator.name, estimator=densities.estimator)
            errors = group_values(context, bounding, "mse", generator)
            for name, values in densities.groups(context, generator).items():
                if name in errors:
                    keyed, fitted_to = emit.at(group=name), float(variance[generator.name])
                    rows += _group_rows(keyed, generator, values, errors[name], fitted_to)
    return rows


def _group_rows(
    emit: Emitter,
    generator: GeneratorInfo,
    values: GroupValues,
    errors: GroupValues,
    variance: float,
) -> Iterator[SummaryRow]:
    _, mine, theirs = np.intersect1d(values.image_id, errors.image_id, return_indices=True)
    for condition in density_conditions(values):
        density = values.log_densities(condition)[mine]
        error = errors.by_class.min(axis=1) if condition == MARGINAL else errors.own
        both = ~np.isnan(density) & ~np.isnan(error[theirs])
        if both.any():
            estimate = bits_per_dim(density[both], generator.dimensions)
            bound = bits_per_dim_bound(error[theirs][both], variance)
            keyed = emit.at(condition=condition).seeded("bound", condition)
            violated, above = estimate.mean() > bound.mean(), np.sum(estimate > bound)
            nats = log_likelihood_bound(error[theirs][both], variance, generator.dimensions)
            yield keyed.mean_row("bits_per_dim_bound", bound)
            yield keyed.mean_row("log_likelihood_bound", nats)
            yield keyed.exact("bound_violated", float(violated), len(bound))
            yield keyed.exact("images_above_bound", int(above), len(bound))
