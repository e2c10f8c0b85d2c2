"""Typicality: do the images of a group lie in the generator's typical set?

Against ``simulated`` images, the model's own samples under its observation model. Against
``generated`` ones it is what Friedman and Weiss did: noise-free images, which have about (D - d)/2
nats more density than samples with noise, so that every generator's data are atypical of them.
Every image is under its own class. Training images that the variance was fitted to are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from .....core.statistics.two_sample import NO_SHIFT, Shift, compare_samples
from .....core.statistics.typicality import MINIMUM_REFERENCE, assess_typicality
from ....reduce.context import GeneratorInfo, ReduceContext
from ....reduce.emitter import Emitter
from ....reduce.groups import GroupValues, group_values, null_values, own_density
from ....reduce.schema import SummaryRow
from ...likelihood.densities import TRUSTED, Densities, each_density
from ...variance.reduce import ObservationVariance, judged_groups, read_variance


@dataclass(frozen=True)
class _Set:
    """Log densities of a group's images, how many others failed, and what may shift them all."""

    name: str
    log_density: np.ndarray
    failed: int
    shift: Shift


def reduce_typicality(context: ReduceContext) -> list[SummaryRow]:
    """Every group against each reference, the null's against the simulated, and both together."""
    return [
        row
        for emit, densities, generator in each_density(context)
        for row in _generator_rows(
            context, emit.at(condition=own_density(generator)), densities, generator
        )
    ]


def _generator_rows(
    context: ReduceContext, emit: Emitter, densities: Densities, generator: GeneratorInfo
) -> Iterator[SummaryRow]:
    variance = read_variance(context, generator)
    groups = judged_groups(context, densities.frame, "log_likelihood", generator)
    sets = {name: _set(values, variance) for name, values in groups.items()}
    null = None
    if densities.stage == TRUSTED:
        null = _null_sets(context, generator)
    if null is not None and len(null[0].log_density) > 1 and _is_reference(null[1]):
        yield from _assessed(emit, null[0], null[1])
    for reference in context.references:
        against = sets.get(reference.name)
        if against is None or not _is_reference(against):
            continue
        for name, mine in sets.items():
            if name == reference.name or len(mine.log_density) < 2:
                continue
            yield from _assessed(emit, mine, against)
            if null is not None and reference.role == "simulated":
                yield from _beside_null(emit, mine, against, null)


def _set(values: GroupValues, variance: ObservationVariance | None) -> _Set:
    failed = int(np.isnan(values.own).sum())
    shift = NO_SHIFT if variance is None else variance.shift
    return _Set(values.group.name, values.own_values(), failed, shift)


def _is_reference(found: _Set) -> bool:
    return len(found.log_density) >= MINIMUM_REFERENCE


def _null_sets(context: ReduceContext, generator: GeneratorInfo) -> tuple[_Set, _Set] | None:
    """The null's own images, and the simulated ones under its variance."""
    if context.null is None or not context.with_role("simulated"):
        return None
    frame = context.tables.read("null_likelihood", ["log_likelihood"])
    if frame is None:
        return None
    variance = read_variance(context, generator, "null_variance", context.null)
    mine = null_values(context, frame, "log_likelihood", generator)
    # The reference meets its own class alone, whatever the group does elsewhere.
    simulated = replace(context.with_role("simulated")[0], conditions="own")
    others = group_values(
        replace(context, groups=[simulated]),
        frame[frame["group"] == simulated.name],
        "log_likelihood",
        generator,
    )
    reference = others.get(simulated.name)
    if mine is None or reference is None:
        return None
    return _set(mine, variance), _set(reference, variance)


def _assessed(emit: Emitter, mine: _Set, reference: _Set) -> Iterator[SummaryRow]:
    emit = emit.at(group=mine.name, against=reference.name).seeded("typicality", reference.name)
    n = len(mine.log_density)
    result = assess_typicality(
        mine.log_density,
        reference.log_density,
        emit.seed,
        shift=mine.shift,
        failed=mine.failed,
        resamples=emit.context.resamples,
    )
    yield emit.row("typicality_deviation", result.deviation)
    yield emit.exact("typicality_margin", result.margin, n)
    yield emit.exact("typicality_p_mean", result.test.p_mean, n)
    yield emit.exact("typicality_p_shape", result.test.p_shape, n)


def _beside_null(
    emit: Emitter, mine: _Set, reference: _Set, null: tuple[_Set, _Set]
) -> Iterator[SummaryRow]:
    """Does a group deviate from its reference as the null does from its own?

    Both references are made of the same latents and noise, so that their errors are one.
    """
    own, own_reference = null
    if len(own.log_density) < 2 or not _is_reference(own_reference):
        return
    both = np.hypot(mine.shift.standard_error, own.shift.standard_error)
    test = compare_samples(
        mine.log_density - reference.log_density.mean(),
        own.log_density - own_reference.log_density.mean(),
        emit.context.seed_of("typicality", "null", emit.keys["generator"], mine.name),
        shift=Shift(float(both), min(mine.shift.freedom, own.shift.freedom)),
        failed=mine.failed,
    )
    keyed = emit.at(group=mine.name, against=own.name)
    yield keyed.exact("typicality_p_null", test.p_value, len(mine.log_density))
