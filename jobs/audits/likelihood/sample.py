"""Estimates on a sample: the first images of every group, each under its own condition."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ....workers.likelihood import ESTIMATORS
from ....workers.schema import TableSchema
from ....workers.shard import Shard, chunk
from ...plan.stage import AuditContext, Cost, PlanContext, own_condition
from ...plan.work import BankWork, Work
from ...spec.facts import GeneratorFacts
from .estimators import estimate_work, estimator_bank
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
    items = shards = 0
    work: list[Work] = []
    banks: list[BankWork] = []
    for generator in context.facts.generators.values():
        sizes = [min(images_per_group, context.group_size(each)) for each in context.spec.audited]
        for replicate in (False, True):
            alike = [each for each in varied if each.replicate == replicate]
            own = [
                bank
                for each in alike
                for bank in estimator_bank(
                    generator, each.spec, sum(sizes) * len(alike), shard_items
                )
            ]
            banks += sorted(own, key=lambda bank: bank.latents)[-1:]
        for variation in varied:
            for group, count in zip(context.spec.audited, sizes, strict=True):
                items += count
                work += estimate_work(
                    context,
                    generator,
                    group,
                    variation.spec,
                    count,
                    shard_items,
                    replicate=variation.replicate,
                    probe=variation.probe,
                )
            shards += 1
    return Cost.of(items, max(shards, -(-items // shard_items)), work, banks)
