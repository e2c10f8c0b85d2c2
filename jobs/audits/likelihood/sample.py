"""Estimates on a sample: the first images of every group, each under its own condition."""

from collections.abc import Iterable, Mapping
from typing import Any

from ....workers.likelihood import ESTIMATORS
from ....workers.schema import TableSchema
from ....workers.shard import Shard, chunk
from ...plan.stage import AuditContext, Cost, PlanContext, own_condition
from ...spec.facts import GeneratorFacts
from .estimators import bank_evaluations, evaluations_per_item, reverse_evaluations
from .plan import item, subjects
from .settings import EstimatorSpec


def plan_sample(
    context: PlanContext,
    table: TableSchema,
    generator: GeneratorFacts,
    spec: EstimatorSpec,
    settings: Mapping[str, Any],
    *,
    images_per_group: int,
    shard_items: int,
) -> list[Shard]:
    """Shards of the first images of every group; simulated images apart from stored ones."""
    shards: list[Shard] = []
    for simulated in (False, True):
        items = [
            item(
                context,
                spec,
                generator,
                subject,
                own_condition(context, generator, subject.label, subject.position),
            )
            for subject in subjects(context, generator, simulated=simulated)
            if subject.position < images_per_group
        ]
        shards += chunk(table, ESTIMATORS[spec.estimator], settings, items, shard_items)
    return shards


def estimate_sample(
    context: AuditContext,
    specs: Iterable[EstimatorSpec],
    *,
    images_per_group: int,
    shard_items: int,
) -> Cost:
    """Items, shards and generator evaluations of the sample under every one of ``specs``.

    They have one bank, the largest that any asks for.
    """
    variations = list(specs)
    items = shards = evaluations = 0
    for generator in context.facts.generators.values():
        evaluations += max((bank_evaluations(generator, spec) for spec in variations), default=0)
        for spec in variations:
            for group in context.spec.audited:
                count = min(images_per_group, context.group_size(group))
                items += count
                evaluations += count * evaluations_per_item(context, generator, group, spec)
                if group.role == "simulated":
                    evaluations += count * reverse_evaluations(spec)
            shards += 1
    return Cost(items, max(shards, -(-items // shard_items)), evaluations)
