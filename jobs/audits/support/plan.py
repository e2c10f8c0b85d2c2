"""Plans the ``support`` stage: two sets of real images, and one of every generator."""

from collections.abc import Iterator
from typing import Any

from ....workers.shard import Item, Shard
from ....workers.support import COMPUTATION, SUPPORT_TABLE
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ...spec.facts import GeneratorFacts
from ..images.plan import classes_of_real, generated_settings, reference_settings
from .settings import SUPPORT

CALIBRATING = "calibrating"
"""The group of real images that say which pairs count as duplicates."""
JUDGED = "judged"
"""The group of other real images, beside which those of a generator are judged."""
GENERATED = "generated"
"""The group of a generator's images."""
SINGLE = "generated image"
"""The group of these one by one."""


def plan(context: PlanContext) -> list[Shard]:
    """A shard for each set."""
    shared = _shared_settings(context)
    sets: list[tuple[str | None, str, dict[str, Any]]] = [
        (None, which, shared) for which in (CALIBRATING, JUDGED)
    ]
    spec = SUPPORT.required(context.spec.stages)
    for generator in context.facts.generators.values():
        own = {
            **shared,
            "images": spec.images,
            "generated": generated_settings(context, generator),
            "classes": _classes(context, generator),
        }
        sets.append((generator.name, GENERATED, own))
    return [
        Shard(
            SUPPORT_TABLE,
            COMPUTATION,
            {**settings, "set": which},
            (_item(name, which), *_images(name, settings)),
        )
        for name, which, settings in sets
    ]


def _images(generator: str | None, settings: dict[str, Any]) -> Iterator[Item]:
    """Of a generator's set each image, so that one that cannot be used is a failed item."""
    if generator is None:
        return
    for number, label in enumerate(settings["classes"] or [None] * settings["images"]):
        yield Item(
            generator=generator,
            condition=label,
            group=SINGLE,
            image_id=f"{GENERATED}-{number:06d}",
            label=label,
            seed=0,
            index=number,
        )


def _shared_settings(context: AuditContext) -> dict[str, Any]:
    length = context.facts.references["support"].length
    assert length is not None, "validation refuses a reference set without end"
    return {
        "real": reference_settings(context, "support"),
        "real_length": length,
        "real_images": min(SUPPORT.required(context.spec.stages).images, length // 2),
        "real_seed": context.seed("support", "real"),
    }


def _classes(context: AuditContext, generator: GeneratorFacts) -> list[int] | None:
    """The class of each image: pairs of a class collide as often as its share is squared."""
    labels = context.facts.references["support"].labels
    count = SUPPORT.required(context.spec.stages).images
    return classes_of_real(context, "support", generator, labels, count)


def _item(generator: str | None, which: str) -> Item:
    return Item(
        generator=generator, condition=None, group=which, image_id=which, label=None, seed=0
    )


def _cost(context: AuditContext) -> Cost:
    generators = context.facts.generators.values()
    drawn = [each for each in generators if each.samples is None]
    images, sets = SUPPORT.required(context.spec.stages).images, 2 + len(generators)
    return Cost(sets + images * len(generators), sets, images * len(drawn))


STAGE = Stage(
    table=SUPPORT_TABLE,
    computations=(COMPUTATION,),
    description="near-duplicates among generated images, and among real ones",
    needs=(),
    enabled=lambda spec: SUPPORT.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
)
