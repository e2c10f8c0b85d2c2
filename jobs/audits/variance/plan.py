"""Plans the ``variance`` stage: one observation variance a generator, and that of its control."""

from collections.abc import Sequence
from typing import Any

from ....workers.inversion import INVERSION_TABLE
from ....workers.schema import TableSchema
from ....workers.shard import Item, Shard
from ....workers.variance import DATA, ESTIMATORS, GIVEN, VARIANCE_TABLE
from ....workers.variance_fit import VARIANCE_FIT_TABLE
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ...spec.facts import GeneratorFacts
from .fit_plan import (
    FittedImages,
    control_groups,
    fit_grids,
    fitted_images,
    variance_settings,
)
from .settings import VARIANCE


def plan(context: PlanContext) -> list[Shard]:
    """One shard a generator and fit, resting on the parts of its images' curves or errors.

    A control whose images have no curves is left out.
    """
    spec = variance_settings(context)
    if spec.value is not None:
        return [
            variance_shard(VARIANCE_TABLE, generator.name, DATA, {"value": spec.value})
            for generator in context.facts.generators.values()
        ]
    source = VARIANCE_FIT_TABLE if spec.fits_curves else INVERSION_TABLE
    return [
        variance_shard(
            VARIANCE_TABLE,
            generator.name,
            fitted.group,
            fit_settings(context, source, fitted.keys),
        )
        for generator in context.facts.generators.values()
        for fitted in _usable(context, generator)
    ]


def _usable(context: PlanContext, generator: GeneratorFacts) -> list[FittedImages]:
    found = fitted_images(context, generator)
    if not variance_settings(context).fits_curves:
        return found
    grids = fit_grids(context, generator)
    return [fitted for fitted in found if fitted.group in grids]


def fit_settings(
    context: PlanContext, source: TableSchema, images: Sequence[tuple[str, int | None]]
) -> dict[str, Any]:
    """How a variance is fitted to images, each under a condition, out of the table ``source``."""
    return {
        "value": None,
        "estimator": variance_settings(context).estimator,
        "dimensions": context.facts.dimensions,
        "source": source.name,
        "parts": context.shard_ids(source.name),
        "images": [list(key) for key in images],
    }


def variance_shard(
    table: TableSchema, generator: str, group: str, settings: dict[str, Any]
) -> Shard:
    """The shard of one fit: a row for a generator and a group."""
    item = Item(generator, None, group, f"{generator}-{group}", None, seed=0)
    computation = GIVEN if settings["value"] is not None else ESTIMATORS[settings["estimator"]]
    return Shard(table, computation, settings, (item,))


def _cost(context: AuditContext) -> Cost:
    fits = 1
    if variance_settings(context).value is None and context.spec.null is not None:
        fits += len(control_groups(context))
    count = len(context.facts.generators) * fits
    return Cost(count, count, 0, brief=True)


STAGE = Stage(
    table=VARIANCE_TABLE,
    computations=(GIVEN, *ESTIMATORS.values()),
    description="the observation variance, from one half of the training images or given",
    needs=("inversion", "variance_fit"),
    enabled=lambda spec: VARIANCE.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
    needs_latent=True,
)
