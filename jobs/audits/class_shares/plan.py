"""Plans the ``annotations`` stage: held-out real images, and as many generated ones as asked."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ....workers.annotations import ANNOTATIONS_TABLE, COMPUTATION
from ....workers.generated_images import sample_order
from ....workers.shard import Item, Shard, chunk
from ....workers.trained import ANNOTATOR_TABLE
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ...spec.facts import GeneratorFacts
from ..images.plan import generated_settings, reference_settings
from .annotator_plan import annotator_settings, real_levels
from .settings import ANNOTATOR, CLASS_SHARES

# The groups of the table, which are none of the spec's.
HELD_OUT = "held-out"
ANNOTATED = "annotated"


def plan(context: PlanContext) -> Iterator[Shard]:
    """Shards of the held-out images, then of each generator's."""
    size = CLASS_SHARES.required(context.spec.stages).shard_items
    common: dict[str, Any] = {
        "annotator": annotator_settings(context),
        "levels": real_levels(context),
    }
    held_out = {**common, "held_out": reference_settings(context, CLASS_SHARES.name)}
    yield from chunk(ANNOTATIONS_TABLE, COMPUTATION, held_out, _held_out(context), size)
    for generator in context.facts.generators.values():
        settings = {**common, "generated": generated_settings(context, generator)}
        yield from chunk(
            ANNOTATIONS_TABLE, COMPUTATION, settings, _generated(context, generator), size
        )


def annotated_images(context: AuditContext, generator: GeneratorFacts) -> int:
    """How many of a generator's images are annotated."""
    asked = CLASS_SHARES.required(context.spec.stages).images
    if asked is not None:
        return asked
    learned = context.facts.references[ANNOTATOR.name].length
    assert learned is not None, "validation refuses a reference set without end"
    there = generator.available()
    return learned if there is None else min(learned, there)


def _held_out(context: AuditContext) -> Iterator[Item]:
    for index, label in enumerate(context.facts.references[CLASS_SHARES.name].labels or ()):
        yield Item(
            generator=None,
            condition=None,
            group=HELD_OUT,
            image_id=f"{HELD_OUT}-{index:07d}",
            label=label,
            seed=0,
            index=index,
        )


def _generated(context: AuditContext, generator: GeneratorFacts) -> Iterator[Item]:
    """Numbers from 0 on; where the generator takes a class, those of held-out images by chance."""
    count = annotated_images(context, generator)
    settings = generated_settings(context, generator)
    known = np.array(context.facts.references[CLASS_SHARES.name].labels or (), dtype=np.int64)
    seed = context.seed("annotations", generator.name)
    # As the held-out images are a sample of classes, so is this.
    classes = np.random.default_rng(seed).choice(known, count)
    samples = generator.samples
    if samples is not None and samples.labels is not None and samples.length is not None:
        order = sample_order(samples.length, settings["image_seed"])
        labels = np.asarray(samples.labels, dtype=np.int64)[order]
    else:
        labels = None
    for number in range(count):
        condition = int(classes[number]) if generator.num_classes else None
        label = condition if labels is None else int(labels[number])
        yield Item(
            generator=generator.name,
            condition=condition,
            group=ANNOTATED,
            image_id=f"{ANNOTATED}-{generator.name}-{number:07d}",
            label=label,
            seed=0,
            index=number,
        )


def _cost(context: AuditContext) -> Cost:
    size = CLASS_SHARES.required(context.spec.stages).shard_items
    made = {
        name: annotated_images(context, generator)
        for name, generator in context.facts.generators.items()
    }
    sizes = [context.facts.references[CLASS_SHARES.name].length or 0, *made.values()]
    drawn = sum(
        made[name] for name, each in context.facts.generators.items() if each.samples is None
    )
    return Cost(sum(sizes), sum(-(-each // size) for each in sizes), drawn)


STAGE = Stage(
    table=ANNOTATIONS_TABLE,
    computations=(COMPUTATION,),
    description="the annotator's labels of generated and of held-out real images",
    needs=(ANNOTATOR_TABLE.name,),
    enabled=lambda spec: CLASS_SHARES.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
)
