"""Plans the ``images`` stage: which images of which groups are materialised."""

from dataclasses import replace
from typing import Any

from ....workers.images import FROM_DATASET, GENERATED
from ....workers.shard import Item, Shard, chunk
from ....workers.stored_images import IMAGES_TABLE
from ...plan.stage import AuditContext, Cost, PlanContext, Stage, made_items
from ...spec.audit import GroupSpec
from ...spec.facts import DatasetFacts, GeneratorFacts
from .settings import IMAGES


def plan(context: PlanContext) -> list[Shard]:
    """Shards of every group's images; simulated ones are made where they are used."""
    shards: list[Shard] = []
    for group in context.spec.audited:
        if group.role == "generated":
            for generator in context.facts.generators.values():
                shards += _generated(context, group, generator)
        elif group.role != "simulated":
            shards += _from_dataset(context, group, context.facts.groups[group.name])
    return shards


def _from_dataset(context: PlanContext, group: GroupSpec, facts: DatasetFacts) -> list[Shard]:
    settings: dict[str, Any] = {
        **_dataset_settings(context, facts),
        # The classes of an outlier set are not the generator's.
        "labelled": group.role in ("train", "test") and group.conditions != "in_turn",
    }
    items = [
        Item(
            generator=None,
            condition=None,
            group=group.name,
            image_id=f"{group.name}-{index:06d}",
            label=None,
            seed=context.seed("images", group.name, index),
            index=index,
        )
        for index in context.chosen(group)
    ]
    size = IMAGES.required(context.spec.stages).shard_items
    return list(chunk(IMAGES_TABLE, FROM_DATASET, settings, items, size))


def _generated(context: PlanContext, group: GroupSpec, generator: GeneratorFacts) -> list[Shard]:
    items = [
        replace(item, seed=context.seed("images", generator.name, item.image_id))
        for item in made_items(context, generator, group)
    ]
    settings = {**generator_settings(generator), "levels": context.levels}
    size = IMAGES.required(context.spec.stages).shard_items
    return list(chunk(IMAGES_TABLE, GENERATED, settings, items, size))


def reference_settings(context: AuditContext, stage: str) -> dict[str, Any]:
    """How a worker opens the reference set of a stage, its hash and its number of classes."""
    facts = context.facts.references[stage]
    return {**_dataset_settings(context, facts), "num_classes": facts.num_classes}


def _dataset_settings(context: AuditContext, facts: DatasetFacts) -> dict[str, Any]:
    return {
        "dataset": facts.dataset,
        "split": facts.split,
        "path": facts.path,
        "hash": facts.sha256,
        "fingerprint": facts.fingerprint,
        "image_shape": list(context.facts.image_shape),
        "seed": context.spec.seed,
        **facts.options,
    }


def generator_settings(generator: GeneratorFacts) -> dict[str, Any]:
    """How a worker opens the generator, and the hash that makes its weights part of the id."""
    return generator.settings(generator.sha256)


def _cost(context: AuditContext) -> Cost:
    items = shards = evaluations = 0
    size = IMAGES.required(context.spec.stages).shard_items
    for group in context.spec.audited:
        if group.role == "simulated":
            continue
        copies = len(context.facts.generators) if group.role == "generated" else 1
        count = context.group_size(group)
        items += copies * count
        shards += copies * -(-count // size)
        evaluations += copies * count if group.role == "generated" else 0
    return Cost(items, shards, evaluations)


STAGE = Stage(
    table=IMAGES_TABLE,
    computations=(FROM_DATASET, GENERATED),
    description="stores every group's images once, including generated ones",
    needs=(),
    enabled=lambda _: True,
    plan=plan,
    cost=_cost,
)
