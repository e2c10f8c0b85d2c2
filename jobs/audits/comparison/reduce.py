"""What the choice of the estimator does to each image's density."""

from dataclasses import dataclass

import numpy as np

from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.emitter import emitter
from ...reduce.groups import GroupValues, own_density
from ...reduce.parts import RunTableError
from ...reduce.schema import SummaryRow
from ..likelihood.densities import OTHER, TRUSTED, read_densities


@dataclass(frozen=True)
class EstimatorGaps:
    """Ln p by ``estimator`` minus ln p by ``other``, of every image that both succeeded on.

    In nats, by group, under each image's own class.
    """

    estimator: str | None
    other: str | None
    by_group: dict[str, np.ndarray]


def estimator_gaps(context: ReduceContext, generator: GeneratorInfo) -> EstimatorGaps | None:
    """The gaps of ``likelihood`` to ``comparison``; None where a run has but one of them.

    Raises:
        RunTableError: tables that do not hold the same images.
    """
    found = read_densities(context.tables, ["log_likelihood"])
    if len(found) < 2:
        return None
    trusted, other = (densities.groups(context, generator) for densities in found)
    gaps = {}
    for name in trusted | other:
        gap = _paired(name, trusted.get(name), other.get(name))
        if not np.isnan(gap).all():
            gaps[name] = gap[~np.isnan(gap)]
    return EstimatorGaps(found[0].estimator, found[1].estimator, gaps)


def _paired(name: str, trusted: GroupValues | None, other: GroupValues | None) -> np.ndarray:
    if (
        trusted is None
        or other is None
        or not np.array_equal(trusted.image_id, other.image_id)
        or not np.array_equal(trusted.own_class, other.own_class)
    ):
        raise RunTableError(
            f"{TRUSTED} and {OTHER} do not hold the same images of group {name}, each under the "
            "same class: the run is not complete"
        )
    gap: np.ndarray = trusted.own - other.own
    return gap


def reduce_estimator_gap(context: ReduceContext) -> list[SummaryRow]:
    """Mean and median gap between the estimators, paired by image, by group."""
    rows = []
    for generator in context.generators:
        gaps = estimator_gaps(context, generator)
        if gaps is None:
            continue
        keys = {"condition": own_density(generator), "estimator": gaps.estimator}
        for group, values in gaps.by_group.items():
            emit = emitter(context, generator=generator.name, group=group, against=gaps.other)
            emit = emit.at(**keys).seeded("estimator gap")
            rows.append(emit.mean_row("estimator_gap", values))
            rows.append(emit.median_row("estimator_gap_median", values))
    return rows
