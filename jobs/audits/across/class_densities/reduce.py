"""Do the classes' densities differ? ln p(x|a) against ln p(x|b) [HU Fig. 3, left]."""

from .....core.statistics.correlation import (
    KINDS,
    MINIMUM_IMAGES,
    Kind,
    PairCorrelations,
    pair_correlations,
)
from ....reduce.context import GeneratorInfo, ReduceContext
from ....reduce.groups import GroupValues
from ....reduce.schema import EVERY_CLASS, SummaryRow
from ...likelihood.densities import each_density


def reduce_class_densities(context: ReduceContext) -> list[SummaryRow]:
    """Mean over pairs of classes of the correlation of their densities, by group and estimator.

    Of groups evaluated under every class, with at least 10 images under all of them.
    """
    rows = []
    for emit, densities, generator in each_density(context):
        for name, values in densities.groups(context, generator).items():
            keyed = emit.at(condition=EVERY_CLASS, group=name)
            for kind in KINDS:
                found = correlated_classes(generator, values, kind)
                if found is not None:
                    rows.append(keyed.row(f"class_correlation_{kind}", found.mean))
    return rows


def correlated_classes(
    generator: GeneratorInfo, values: GroupValues, kind: Kind
) -> PairCorrelations | None:
    """The correlations of a group's class densities; None where it cannot have them."""
    if len(generator.conditions) < 2 or not values.has_every_class:
        return None
    whole = values.by_class[values.complete]
    if len(whole) < MINIMUM_IMAGES:
        return None
    return pair_correlations(whole, kind)
