"""Plans the ``null_fit`` stage: the model's own samples, inverted in the place of the data.

The null audit asks each question of the model's own samples, taken through all that the data went
through. They are G(z) + N(0, v), rounded to the data's grey levels, with as much noise v as makes
their variance the data's: sigma^2 of the data minus that of the model's own noise-free images,
which storage and an imperfect inversion leave. So a generator's own samples as the data have a null
without noise, and data far from the manifold one that is as far.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ....workers.shard import Item, Shard, chunk
from ....workers.variance_fit import NULL_COMPUTATION, NULL_FIT_TABLE
from ...plan.stage import AuditContext, Cost, PlanContext, Stage, StageError, made_items
from ...plan.work import BankWork, Chore, Work
from ...spec.facts import GeneratorFacts
from ..banked import classes_met
from ..images.plan import generator_settings
from ..inversion.plan import inversion_chores, inversion_settings, inversion_work
from ..inversion.settings import INVERSION, InversionSpec
from ..variance.fit_plan import (
    control_groups,
    curve_work,
    fit_grids,
    grid_lengths,
    null_grid,
    variance_settings,
)
from ..variance.halves import fitted_positions
from ..variance.settings import VARIANCE


def null_noise(context: PlanContext, generator: GeneratorFacts) -> float:
    """The variance of the null's observation noise on [0, 1]; 0 without a variance stage.

    Raises:
        StageError: when the data's variance could not be fitted.
    """
    if VARIANCE.of(context.spec.stages) is None:
        return 0.0
    noise = context.variance(generator.name)
    if variance_settings(context).value is not None:
        return noise
    for group in control_groups(context):
        try:
            noise -= context.variance(generator.name, group.name)
        except StageError:
            # Its own images came back without error, or not at all: they leave no variance.
            continue
    return max(noise, 0.0)


def null_items(context: PlanContext, generator: GeneratorFacts) -> list[Item]:
    """Every image of the null group, under its own class, seeded for inversion."""
    group = context.spec.null
    assert group is not None
    return [
        replace(
            item,
            seed=context.seed("inversion", generator.name, item.condition, item.image_id),
            image_seed=context.seed("null", generator.name, item.image_id),
        )
        for item in made_items(context, generator, group)
    ]


def split_items(context: PlanContext, generator: GeneratorFacts) -> tuple[list[Item], list[Item]]:
    """The null's images that its variance is fitted to, and those that verdicts are about.

    With ``fit: all``, or too few to be halved, both are all of them, as with the data.
    """
    items, spec = null_items(context, generator), variance_settings(context)
    fitted = fitted_positions([item.label for item in items], spec)
    chosen = set(fitted)
    judged = [item for position, item in enumerate(items) if position not in chosen]
    return [items[position] for position in fitted], judged or items


def drawing_settings(context: PlanContext, generator: GeneratorFacts) -> dict[str, Any]:
    """How the null's images are drawn: with how much noise, on how many grey levels."""
    return {"noise_variance": null_noise(context, generator), "levels": context.levels}


def _inversion(context: AuditContext) -> InversionSpec:
    return INVERSION.required(context.spec.stages)


def plan(context: PlanContext) -> Iterator[Shard]:
    """Shards of the half that the null's variance is fitted to, and of the others."""
    size = _inversion(context).shard_items
    for generator in context.facts.generators.values():
        settings = {
            **generator_settings(generator),
            **drawing_settings(context, generator),
            **inversion_settings(context, generator),
        }
        fitted: list[Item] = []
        if _fits(context):
            fitted, _ = split_items(context, generator)
        chosen = {item.image_id for item in fitted}
        others = [it for it in null_items(context, generator) if it.image_id not in chosen]
        grid = null_grid(fit_grids(context, generator)) if fitted else []
        curves = {**settings, "variances": grid}
        yield from chunk(NULL_FIT_TABLE, NULL_COMPUTATION, curves, fitted, size)
        plain = {**settings, "variances": []}
        yield from chunk(NULL_FIT_TABLE, NULL_COMPUTATION, plain, others, size)


def _fits(context: AuditContext) -> bool:
    variance = VARIANCE.of(context.spec.stages)
    return variance is not None and variance.fits_curves


def _cost(context: AuditContext) -> Cost:
    group, inversion = context.spec.null, _inversion(context)
    assert group is not None
    count = context.group_size(group)
    items = shards = 0
    work: list[Work] = []
    banks: list[BankWork] = []
    chores: list[Chore] = []
    for generator in context.facts.generators.values():
        fitted = 0
        if _fits(context):
            fitted = count if variance_settings(context).fit == "all" else -(-count // 2)
        items += count
        shards += -(-fitted // inversion.shard_items) + -(
            -(count - fitted) // inversion.shard_items
        )
        inverted, bank = inversion_work(
            generator, inversion, count, classes_met(context, generator, [(group, count)])
        )
        lengths = grid_lengths(context, generator)
        calls, further = curve_work(generator, inversion.ends, lengths.null)
        curves = Work(generator.name, fitted, inversion.shard_items, calls, further)
        work += [*inverted, curves]
        chores += inversion_chores(context, inverted)
        banks += bank
    return Cost.of(items, shards, work, banks, chores)


STAGE = Stage(
    table=NULL_FIT_TABLE,
    computations=(NULL_COMPUTATION,),
    description="the null audit: the model's own samples, inverted in place of the data",
    needs=("variance",),
    enabled=lambda spec: spec.null is not None and INVERSION.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
    needs_latent=True,
)
