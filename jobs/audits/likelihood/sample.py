"""Estimates on a sample of every group's images, each under its own condition.

Not of the first ones: sets are often sorted by class or by source, and a certificate of some
classes would be none of the group.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from ....workers.likelihood import ESTIMATORS, PROBED
from ....workers.schema import TableSchema
from ....workers.shard import Shard, chunk
from ...plan.stage import AuditContext, Cost, PlanContext, own_condition
from ...plan.work import BankWork, Work
from ...spec.choice import label_ranks
from ...spec.facts import GeneratorFacts
from ..banked import classes_met
from .estimators import estimate_work, estimator_bank
from .plan import Subject, item, subjects
from .settings import EstimatorSpec


@dataclass(frozen=True)
class Variation:
    """An estimate of the sample: its settings, and what the convergence stage says is ``varied``.

    A ``replicate`` has other seeds and another bank, and knows of no inversion; a ``probe`` has a
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
    """Shards of a sample of every group; simulated images apart from stored ones.

    It has the same stored images for every generator and variation.
    """
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
            for subject in _sampled(
                context, subjects(context, generator, simulated=simulated), images_per_group
            )
        ]
        computation = PROBED if variation.probe else ESTIMATORS[spec.estimator]
        shards += chunk(table, computation, settings, items, shard_items)
    return shards


def _sampled(
    context: PlanContext, audited: Iterable[Subject], images_per_group: int
) -> Iterator[Subject]:
    """So many of each group, classes as even as the labels allow, in the groups' order.

    An image's turn hangs on its id alone: one that fails moves no other out of the sample.
    """
    for _, members in groupby(audited, lambda subject: subject.group.name):
        group = sorted(members, key=lambda subject: context.seed("sample", subject.image_id))
        labels = [subject.label for subject in group]
        if None not in labels:
            turns = np.argsort(label_ranks(np.asarray(labels)), kind="stable")
            group = [group[turn] for turn in turns]
        yield from sorted(group[:images_per_group], key=lambda subject: subject.position)


def estimate_sample(
    context: AuditContext,
    variations: Iterable[Variation],
    *,
    images_per_group: int,
    shard_items: int,
) -> Cost:
    """Items, shards and generator evaluations of the sample under every one of ``variations``.

    They have one bank, the largest that any asks for, and replicates and probes another.
    """
    varied = list(variations)
    items = shards = 0
    work: list[Work] = []
    banks: list[BankWork] = []
    for generator in context.facts.generators.values():
        sizes = [min(images_per_group, context.group_size(each)) for each in context.spec.audited]
        groups = list(zip(context.spec.audited, sizes, strict=True))
        classes = classes_met(context, generator, groups)
        for replicate in (False, True):
            alike = [
                each for each in varied if each.replicate == replicate or (each.probe and replicate)
            ]
            own = [
                bank
                for each in alike
                for bank in estimator_bank(
                    generator, each.spec, sum(sizes) * len(alike), shard_items, classes
                )
            ]
            banks += sorted(own, key=lambda bank: bank.latents)[-1:]
        for variation in varied:
            for group, count in groups:
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
