"""Estimates on a sample: the first images of every group, each under its own condition."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ....workers.likelihood import ESTIMATORS
from ....workers.schema import TableSchema
from ....workers.shard import Shard, chunk
from ...plan.stage import AuditContext, Cost, PlanContext, own_condition
from ...spec.facts import GeneratorFacts
from .estimators import banked_evaluations, evaluations_per_item, reverse_evaluations
from .plan import item, subjects
from .settings import EstimatorSpec


@dataclass(frozen=True)
class Variation:
    """An estimate of the sample: its settings, and what the convergence stage says is ``varied``.

    A ``replicate`` has other seeds and another bank, and knows of no inversion; a ``probe`` a
    second search for modes.
    """

    spec: EstimatorSpec
    varied: str | None = None
    replicate: bool = False
    probe: bool = False


def plan_sample(
    context: PlanContext,
    table: TableSchema,
    generator: GeneratorFacts,
    variation: Variation,
    settings: Mapping[str, Any],
    *,
    images_per_group: int,
    shard_items: int,
) -> list[Shard]:
    """Shards of the first images of every group; simulated images apart from stored ones."""
    shards: list[Shard] = []
    spec = variation.spec
    for simulated in (False, True):
        items = [
            item(
                context,
                spec,
                generator,
                subject,
                own_condition(context, generator, subject.label, subject.position),
                replicate=variation.replicate,
            )
            for subject in subjects(context, generator, simulated=simulated)
            if subject.position < images_per_group
        ]
        shards += chunk(table, ESTIMATORS[spec.estimator], settings, items, shard_items)
    return shards


def estimate_sample(
    context: AuditContext,
    variations: Iterable[Variation],
    *,
    images_per_group: int,
    shard_items: int,
) -> Cost:
    """Items, shards and generator evaluations of the sample under every one of ``variations``.

    They have one bank, the largest that any asks for, and replicates have another.
    """
    varied = list(variations)
    items = shards = evaluations = 0
    for generator in context.facts.generators.values():
        for replicate in (False, True):
            banks = [
                banked_evaluations(generator, variation.spec)
                for variation in varied
                if variation.replicate == replicate
            ]
            evaluations += max(banks, default=0)
        for variation in varied:
            for group in context.spec.audited:
                count = min(images_per_group, context.group_size(group))
                items += count
                evaluations += count * evaluations_per_item(
                    context,
                    generator,
                    group,
                    variation.spec,
                    replicate=variation.replicate,
                    probe=variation.probe,
                )
                if group.role == "simulated":
                    evaluations += count * reverse_evaluations(variation.spec)
            shards += 1
    return Cost(items, max(shards, -(-items // shard_items)), evaluations)
