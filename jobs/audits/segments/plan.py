"""Plans the ``segments`` stage: real images, and as many of every generator."""

from collections.abc import Iterator
from typing import Any

from ....workers.generated_images import sample_order
from ....workers.segments import COMPUTATION, SEGMENTS_TABLE
from ....workers.shard import Item, Shard, chunk
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ...spec.audit import AuditSpec
from ...spec.facts import Facts
from ..images.plan import generated_settings, reference_settings
from .settings import SEGMENTS

REAL = "real"
"""The group of real images."""
GENERATED = "generated"
"""The group of a generator's images."""


def image_count(spec: AuditSpec, facts: Facts) -> int:
    """How many images there are on either side."""
    length = facts.references[SEGMENTS.name].length
    assert length is not None, "validation refuses a reference set without end"
    return min(length, SEGMENTS.required(spec.stages).images)


def plan(context: PlanContext) -> Iterator[Shard]:
    """Shards of the real images, then of each generator's, under the classes of the real ones."""
    spec, facts = SEGMENTS.required(context.spec.stages), context.facts.references[SEGMENTS.name]
    assert facts.length is not None, "validation refuses a reference set without end"
    order = sample_order(facts.length, context.seed("segments", REAL))
    places = order[: image_count(context.spec, context.facts)].tolist()
    labels = [None if facts.labels is None else facts.labels[place] for place in places]
    common = {"segmenter": _segmenter(context), "levels": facts.levels}
    real = [
        Item(None, None, REAL, f"{REAL}-{place:07d}", label, seed=0, index=place)
        for place, label in zip(places, labels, strict=True)
    ]
    settings = {**common, "real": reference_settings(context, SEGMENTS.name)}
    yield from chunk(SEGMENTS_TABLE, COMPUTATION, settings, real, spec.shard_items)
    for generator in context.facts.generators.values():
        asked = labels if generator.num_classes else [None] * len(labels)
        items = [
            Item(
                generator=generator.name,
                condition=label,
                group=GENERATED,
                image_id=f"{GENERATED}-{number:07d}",
                label=label,
                seed=0,
                index=number,
            )
            for number, label in enumerate(asked)
        ]
        settings = {**common, "generated": generated_settings(context, generator)}
        yield from chunk(SEGMENTS_TABLE, COMPUTATION, settings, items, spec.shard_items)


def _segmenter(context: AuditContext) -> dict[str, Any]:
    given = context.spec.segmenter
    assert given is not None, "validation asks for a segmenter"
    return {
        "source": given.source,
        "import_path": given.import_path,
        "classes": len(given.objects),
        "sha256": context.facts.segmenter,
    }


def _cost(context: AuditContext) -> Cost:
    spec, generators = SEGMENTS.required(context.spec.stages), context.facts.generators.values()
    count, sets = image_count(context.spec, context.facts), 1 + len(generators)
    drawn = [each for each in generators if each.samples is None]
    return Cost(sets * count, sets * -(-count // spec.shard_items), len(drawn) * count)


STAGE = Stage(
    table=SEGMENTS_TABLE,
    computations=(COMPUTATION,),
    description="how much of generated and of real images is of each class of objects",
    needs=(),
    enabled=lambda spec: SEGMENTS.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
)
