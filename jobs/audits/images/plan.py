"""Plans the ``images`` stage: which images of which groups are materialised."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ....workers.generated_images import sample_order
from ....workers.images import FROM_DATASET, GENERATED
from ....workers.shard import Item, Shard, chunk
from ....workers.stored_images import IMAGES_TABLE
from ....workers.timed_parts import IMAGES as READ_AT_ONCE
from ....workers.timed_parts import ReadingPart
from ...plan.stage import AuditContext, Cost, PlanContext, Stage, made_items
from ...plan.work import Chore
from ...spec.audit import GroupSpec
from ...spec.facts import DatasetFacts, GeneratorFacts
from .settings import IMAGES


def plan(context: PlanContext) -> list[Shard]:
    """Shards of every group's images; simulated ones are made where they are used."""
    shards: list[Shard] = []
    sampled = 0
    for group in context.spec.audited:
        if group.role == "generated":
            for generator in context.facts.generators.values():
                if generator.samples is None:
                    shards += _generated(context, group, generator)
                else:
                    shards += _sampled(context, group, generator, generator.samples, sampled)
            sampled += context.group_size(group)
        elif group.role != "simulated":
            shards += _from_dataset(context, group, context.facts.groups[group.name])
    return shards


def _from_dataset(context: PlanContext, group: GroupSpec, facts: DatasetFacts) -> list[Shard]:
    settings: dict[str, Any] = {
        **dataset_settings(context, facts),
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


def _sampled(
    context: PlanContext,
    group: GroupSpec,
    generator: GeneratorFacts,
    samples: DatasetFacts,
    start: int,
) -> list[Shard]:
    """Samples from number ``start`` on: groups have none in common."""
    assert samples.length is not None, "validation refuses samples without end"
    order = sample_order(samples.length, _image_seed(context, generator))
    items = [
        Item(
            generator=generator.name,
            condition=None,
            group=group.name,
            image_id=f"{group.name}-{generator.name}-{position:06d}",
            label=None,
            seed=0,
            index=int(order[start + position]),
        )
        for position in range(context.group_size(group))
    ]
    settings = {**dataset_settings(context, samples), "labelled": samples.labels is not None}
    size = IMAGES.required(context.spec.stages).shard_items
    return list(chunk(IMAGES_TABLE, FROM_DATASET, settings, items, size))


def generated_settings(context: AuditContext, generator: GeneratorFacts) -> dict[str, Any]:
    """How a worker opens `shard_generated_images`: any number of images, whatever makes them.

    Of samples, the numbers from 0 on are the stored images of the groups of generated images.
    """
    seed = {"image_seed": _image_seed(context, generator)}
    if generator.samples is not None:
        return {"samples": dataset_settings(context, generator.samples), **seed}
    subset = {} if generator.subset is None else {"conditions": list(generator.subset)}
    return {**generator_settings(generator), "levels": context.levels, **subset, **seed}


def classes_of_real(
    context: AuditContext,
    stage: str,
    generator: GeneratorFacts,
    labels: Sequence[int] | None,
    count: int,
) -> list[int] | None:
    """The classes that a stage asks a generator for: those of real images, drawn by chance.

    Held against real images, an honest generator is like them only where its classes have their
    shares. None where it takes no class, or the real images have none: then classes come in turn.
    """
    if not generator.num_classes or not labels:
        return None
    rng = np.random.default_rng(context.seed(stage, "classes", generator.name))
    found: list[int] = rng.choice(np.asarray(labels, np.int64), count).tolist()
    return found


def _image_seed(context: AuditContext, generator: GeneratorFacts) -> int:
    return context.seed("generated images", generator.name)


def reference_settings(context: AuditContext, stage: str) -> dict[str, Any]:
    """How a worker opens the reference set of a stage, its hash and its number of classes."""
    facts = context.facts.references[stage]
    return {**dataset_settings(context, facts), "num_classes": facts.num_classes}


def dataset_settings(context: AuditContext, facts: DatasetFacts) -> dict[str, Any]:
    """How a worker opens an image set, and what it recognises it by."""
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


def reading_chore(context: AuditContext, facts: DatasetFacts, count: float) -> Chore:
    """The reading of so many of a set's images."""
    part = ReadingPart(facts.sha256, dataset_settings(context, facts))
    return Chore.of("the reading of images", part, count / READ_AT_ONCE)


def generator_settings(generator: GeneratorFacts) -> dict[str, Any]:
    """How a worker opens the generator, and the hash that makes its weights part of the id."""
    return generator.settings(generator.sha256)


def _cost(context: AuditContext) -> Cost:
    items = shards = evaluations = 0
    chores: list[Chore] = []
    size = IMAGES.required(context.spec.stages).shard_items
    for group in context.spec.audited:
        if group.role == "simulated":
            continue
        copies = len(context.facts.generators) if group.role == "generated" else 1
        count = context.group_size(group)
        items += copies * count
        shards += copies * -(-count // size)
        if group.role == "generated":
            for generator in context.facts.generators.values():
                if generator.samples is None:
                    evaluations += count
                else:
                    chores.append(reading_chore(context, generator.samples, count))
        else:
            chores.append(reading_chore(context, context.facts.groups[group.name], count))
    return Cost(items, shards, evaluations, chores=tuple(chores), brief=True)


STAGE = Stage(
    table=IMAGES_TABLE,
    computations=(FROM_DATASET, GENERATED),
    description="stores every group's images once, including generated ones",
    needs=(),
    enabled=lambda _: True,
    plan=plan,
    cost=_cost,
)
