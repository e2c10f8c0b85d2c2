"""Per-image values by group, under one condition that all groups share."""

from dataclasses import dataclass

import numpy as np

from .context import GeneratorInfo, ReduceContext
from .groups import common_density, group_values


@dataclass(frozen=True)
class Distributions:
    """Values of every group's images, and the condition they are under."""

    condition: str | None
    values: dict[str, np.ndarray]


def shared_densities(
    context: ReduceContext, generator: GeneratorInfo, stage: str, column: str
) -> Distributions | None:
    """Log densities of a stage's column by group: marginal where all groups have every class."""
    frame = context.tables.read(stage, [column])
    if frame is None:
        return None
    groups = group_values(context, frame, column, generator)
    if not groups:
        return None
    condition = common_density(*groups.values())
    found = {name: values.log_density(condition) for name, values in groups.items()}
    kept = {name: density for name, density in found.items() if len(density)}
    return Distributions(condition, kept) if kept else None
