"""Plans the ``null_likelihood`` stage: are the model's own samples typical of the model?

The half of the null's images that its variance was not fitted to, and the simulated images as their
reference, both under the null's variance and by the estimator that the verdicts rest on.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ....workers.likelihood import ESTIMATORS, NULL_LIKELIHOOD_TABLE
from ....workers.schema import STATUS_OK
from ....workers.shard import Item, Shard, chunk
from ....workers.variance import NULL_VARIANCE_TABLE
from ....workers.variance_fit import NULL_FIT_TABLE
from ...plan.stage import AuditContext, Cost, PlanContext, Stage, own_condition
from ...plan.work import BankWork, Work
from ...spec.facts import GeneratorFacts
from ..banked import classes_met
from ..likelihood.estimators import (
    estimate_work,
    estimator_bank,
    estimator_settings,
    reuses_inversion,
)
from ..likelihood.plan import image_item, subjects
from ..likelihood.settings import LIKELIHOOD, EstimatorSpec
from ..variance.settings import VARIANCE
from .fit_plan import drawing_settings, split_items
from .variance_plan import fits_null


def _spec(context: AuditContext) -> EstimatorSpec:
    return LIKELIHOOD.required(context.spec.stages)


def null_variance(context: PlanContext, generator: GeneratorFacts) -> float:
    """The variance that the null's densities are under: fitted to them, or the given one.

    Raises:
        StageError: when it could not be fitted.
    """
    assert context.spec.null is not None
    if not fits_null(context.spec):
        return context.variance(generator.name)
    return context.variance(generator.name, context.spec.null.name, NULL_VARIANCE_TABLE)


def plan(context: PlanContext) -> Iterator[Shard]:
    """Shards of the null's images, then of the simulated ones."""
    spec = _spec(context)
    computation = ESTIMATORS[spec.estimator]
    for generator in context.facts.generators.values():
        settings = estimator_settings(context, generator, spec, null_variance(context, generator))
        _, judged = split_items(context, generator)
        places = _inversions(context) if reuses_inversion(context, spec) else {}
        items = [
            replace(
                item,
                seed=_seed(context, spec, generator, item),
                **places.get((generator.name, item.image_id), {}),
            )
            for item in judged
        ]
        own = {**settings, **drawing_settings(context, generator)}
        yield from chunk(NULL_LIKELIHOOD_TABLE, computation, own, items, spec.shard_items)
        reference = [
            image_item(
                context,
                generator.name,
                subject,
                own_condition(context, generator, subject.label, subject.position),
            )
            for subject in subjects(context, generator, simulated=True)
        ]
        seeded = [replace(item, seed=_seed(context, spec, generator, item)) for item in reference]
        yield from chunk(NULL_LIKELIHOOD_TABLE, computation, settings, seeded, spec.shard_items)


def _inversions(context: PlanContext) -> dict[tuple[str | None, str], dict[str, Any]]:
    """Where the null's inversions are, which start the search as the data's do, by image."""
    ids = context.shard_ids(NULL_FIT_TABLE.name)
    columns = ["status", "generator", "image_id"]
    return {
        (row["generator"], row["image_id"]): {
            "inversion_table": NULL_FIT_TABLE.name,
            "inversion_part": shard,
            "inversion_row": index,
        }
        for shard, part in zip(
            ids, context.run.each_part(NULL_FIT_TABLE, ids, columns), strict=True
        )
        for index, row in enumerate(part.to_pylist())
        if row["status"] == STATUS_OK
    }


def _seed(context: PlanContext, spec: EstimatorSpec, generator: GeneratorFacts, item: Item) -> int:
    return context.seed(spec.estimator, generator.name, item.condition, item.image_id)


def _cost(context: AuditContext) -> Cost:
    spec, null = _spec(context), context.spec.null
    variance = VARIANCE.of(context.spec.stages)
    assert null is not None
    assert variance is not None
    halved = variance.value is None and variance.fit == "half"
    count = context.group_size(null) // 2 if halved else context.group_size(null)
    simulated = [group for group in context.spec.audited if group.role == "simulated"]
    items = shards = 0
    work: list[Work] = []
    banks: list[BankWork] = []
    for generator in context.facts.generators.values():
        sizes = [count, *(context.group_size(group) for group in simulated)]
        items += sum(sizes)
        shards += sum(-(-size // spec.shard_items) for size in sizes)
        groups = list(zip((null, *simulated), sizes, strict=True))
        for group, size in groups:
            work += estimate_work(context, generator, group, spec, size, spec.shard_items)
        banks += estimator_bank(
            generator,
            spec,
            sum(sizes),
            spec.shard_items,
            classes_met(context, generator, groups),
        )
    return Cost.of(items, shards, work, banks)


STAGE = Stage(
    table=NULL_LIKELIHOOD_TABLE,
    computations=tuple(ESTIMATORS.values()),
    description="the null audit: densities of the model's own samples, computed like the data's",
    needs=("images", "null_fit", "null_variance", "variance", "tuning"),
    enabled=lambda spec: spec.null is not None and LIKELIHOOD.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
    needs_latent=True,
)
