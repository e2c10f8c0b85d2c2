"""Per-image values by group, for the histograms: under one condition that all groups share."""

from dataclasses import dataclass

import numpy as np

from ..audits.inversion.reduce import reconstruction_errors
from ..reduce.context import GeneratorInfo, ReduceContext
from ..reduce.groups import common_density, group_values
from ..reduce.schema import NEAREST_CLASS, OWN
from ..reduce.tables import read_stage


@dataclass(frozen=True)
class Distributions:
    """Values of every group's images, and the condition they are under."""

    condition: str | None
    values: dict[str, np.ndarray]


def error_distributions(context: ReduceContext, generator: GeneratorInfo) -> Distributions | None:
    """Mean squared errors by group; the nearest class's where all groups have every class."""
    frame = read_stage(context.run_dir, "inversion", ["mse"])
    if frame is None:
        return None
    groups = group_values(context, frame, "mse", generator)
    if not groups:
        return None
    errors = {name: reconstruction_errors(values) for name, values in groups.items()}
    shared = next(
        condition
        for condition in (NEAREST_CLASS, OWN, None)
        if all(condition in found for found in errors.values())
    )
    values = {name: found[shared] for name, found in errors.items() if len(found[shared])}
    return Distributions(shared, values) if values else None


def density_distributions(context: ReduceContext, generator: GeneratorInfo) -> Distributions | None:
    """Ln p by group: the marginal where all groups have every class, else the own class's."""
    return _densities(context, generator, "likelihood", "log_likelihood")


def patch_distributions(context: ReduceContext, generator: GeneratorInfo) -> Distributions | None:
    """Ln p of the patch model by group, under the same condition as the generator's."""
    return _densities(context, generator, "patch_gmm", "log_density")


def _densities(
    context: ReduceContext, generator: GeneratorInfo, stage: str, column: str
) -> Distributions | None:
    frame = read_stage(context.run_dir, stage, [column])
    if frame is None:
        return None
    groups = group_values(context, frame, column, generator)
    if not groups:
        return None
    condition = common_density(*groups.values())
    found = {name: values.log_density(condition) for name, values in groups.items()}
    kept = {name: density for name, density in found.items() if len(density)}
    return Distributions(condition, kept) if kept else None
