"""Plans the ``copies`` stage: held-out images, planted copies, and every generator's images."""

from collections.abc import Iterator, Sequence
from typing import Any

from ....core.culprits.copies import REPLAYS
from ....workers.copies import COMPUTATION, COPIES_TABLE
from ....workers.held_out import held_out_halves, held_out_id
from ....workers.shard import Item, Shard, chunk
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ...spec.facts import GeneratorFacts
from ..images.plan import classes_of_real, generated_settings, reference_settings
from .settings import COPIES, CopiesSpec

HELD_OUT = "held-out"
"""What the table calls the group of held-out images."""
GENERATED = "generated"
"""What the table calls the group of generated images."""
PLANTED = "planted"
"""And that of copies that were made on purpose, to know which kinds are seen."""
PLANTED_IMAGES = 100
"""How many of each kind are made."""
_FLOAT32_BYTES = 4


def _settings(context: AuditContext) -> CopiesSpec:
    return COPIES.required(context.spec.stages)


def held_out_count(context: AuditContext, stage: str, images: int) -> int:
    """How many held-out images of a stage are chosen, of the so many that are asked for."""
    length = context.facts.references[f"{stage}.held_out"].length
    assert length is not None, "validation refuses a reference set without end"
    return min(length, images)


def _planted_count(context: AuditContext) -> int:
    length = context.facts.references["copies"].length
    assert length is not None, "validation refuses a reference set without end"
    return min(length, PLANTED_IMAGES)


def _made_count(context: AuditContext, generator: GeneratorFacts) -> int:
    """As many as are asked for, or all samples where there are fewer."""
    asked, there = _settings(context).images, generator.available(None)
    return asked if there is None else min(asked, there)


def plan(context: PlanContext) -> list[Shard]:
    """Shards of held-out images, of planted copies by kind, then of each generator's images."""
    size = _settings(context).shard_items
    return [
        shard
        for settings, items in asked_images(context)
        for shard in chunk(COPIES_TABLE, COMPUTATION, settings, items, size)
    ]


def asked_images(context: PlanContext) -> Iterator[tuple[dict[str, Any], list[Item]]]:
    """Images with the settings that say what they are."""
    shared = shared_settings(context)
    halves = held_out_halves(
        shared["held_out_length"], shared["held_out_images"], shared["held_out_seed"]
    )
    yield (
        shared,
        [
            _item(None, HELD_OUT, held_out_id(index), index)
            for index in sorted(halves[0] + halves[1])
        ],
    )
    for kind in REPLAYS:
        planted = [
            _item(None, PLANTED, f"{kind}-{number:06d}", number)
            for number in range(_planted_count(context))
        ]
        settings = {
            **shared,
            "planted": kind,
            "planted_images": len(planted),
            "planted_seed": context.seed("copies", PLANTED),
        }
        yield settings, planted
    for generator in context.facts.generators.values():
        classes = _classes(context, generator)
        items = [
            _item(generator.name, GENERATED, f"{GENERATED}-{number:06d}", number, label)
            for number, label in enumerate(classes)
        ]
        yield {**shared, "generated": generated_settings(context, generator)}, items


def _classes(context: AuditContext, generator: GeneratorFacts) -> Sequence[int | None]:
    """The class of each image that is made, those of the held-out images by chance.

    Images of a rare class have fewer training images of their kind, and are ranked among held-out
    images that are as rare. Held-out images of classes under which it is not evaluated say nothing.
    """
    labels = context.facts.references[f"{COPIES.name}.held_out"].labels or ()
    evaluated = set(generator.conditions)
    known = [label for label in labels if label in evaluated]
    count = _made_count(context, generator)
    return classes_of_real(context, COPIES.name, generator, known, count) or [None] * count


def shared_settings(context: AuditContext) -> dict[str, Any]:
    """What every shard says: the training images, and which held-out ones are chosen."""
    spec = _settings(context)
    return both_sets(context, COPIES.name, spec.images, spec.block_mib)


def both_sets(context: AuditContext, stage: str, images: int, block_mib: float) -> dict[str, Any]:
    """How a worker opens a stage's training images, and so many of its held-out ones."""
    inner = f"{stage}.held_out"
    training, held_out = (context.facts.references[key] for key in (stage, inner))
    return {
        "training": reference_settings(context, stage),
        "training_length": training.length,
        "block_images": block_images(context, block_mib),
        "held_out": reference_settings(context, inner),
        "held_out_length": held_out.length,
        "held_out_images": held_out_count(context, stage, images),
        "held_out_seed": context.seed(stage, HELD_OUT),
    }


def block_images(context: AuditContext, block_mib: float) -> int:
    """How many training images are read at once; at least 1."""
    row_bytes = _FLOAT32_BYTES * context.facts.dimensions
    return max(1, int(block_mib * 2**20 / row_bytes))


def _item(
    generator: str | None, group: str, image_id: str, index: int, label: int | None = None
) -> Item:
    return Item(
        generator=generator,
        condition=label,
        group=group,
        image_id=image_id,
        label=label,
        seed=0,
        index=index,
    )


def cost(context: AuditContext) -> Cost:
    """Of all images that are asked about, once."""
    spec, generators = _settings(context), context.facts.generators.values()
    made = {each.name: _made_count(context, each) for each in generators}
    sizes = [
        held_out_count(context, COPIES.name, spec.images),
        *[_planted_count(context)] * len(REPLAYS),
        *made.values(),
    ]
    drawn = [each for each in generators if each.samples is None]
    shards = sum(-(-size // spec.shard_items) for size in sizes)
    return Cost(sum(sizes), shards, sum(made[each.name] for each in drawn))


STAGE = Stage(
    table=COPIES_TABLE,
    computations=(COMPUTATION,),
    description="the nearest training images of generated and held-out images, in many views",
    needs=(),
    enabled=lambda spec: COPIES.of(spec.stages) is not None,
    plan=plan,
    cost=cost,
)
