"""Plans the ``features`` stage: sets of real and of generated images, and what copies need."""

from collections.abc import Iterator, Sequence
from typing import Any

from ....workers.features import COMPUTATION, FEATURES_TABLE
from ....workers.generated_images import sample_order
from ....workers.pca import PCA_TABLE
from ....workers.shard import Item, Shard, chunk
from ....workers.trained import ANNOTATOR_TABLE
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ...spec.facts import GeneratorFacts
from ..class_shares.annotator_plan import feature_settings
from ..copies.settings import COPIES
from ..feature_copies.features import feature_shards, features_cost, seeks_in_features
from ..feature_space import ANNOTATOR, extractor_settings
from ..images.plan import classes_of_real, generated_settings, reference_settings
from .pca_plan import pca_settings, real_order_seed
from .settings import DISTANCES, PCA

REFERENCE = "reference"
"""The group of real images that every set is held against."""
REAL = "real"
"""The group of other real images, in sets: the floor."""
GENERATED = "generated"
"""The group of a generator's images, in sets."""


def real_sets(context: AuditContext) -> int:
    """How many sets of real images there are besides the reference."""
    spec = DISTANCES.required(context.spec.stages)
    length = context.facts.references[DISTANCES.name].length
    assert length is not None, "validation refuses a reference set without end"
    return min(spec.sets, length // spec.images - 1)


def plan(context: PlanContext) -> Iterator[Shard]:
    """Shards of what ``distances`` compares, and of what ``copies`` does, in each space."""
    if DISTANCES.of(context.spec.stages) is not None:
        yield from _of_sets(context)
    if seeks_in_features(context.spec):
        for space in COPIES.required(context.spec.stages).spaces:
            yield from feature_shards(context, {"space": space, **_seen_by(context, space)})


def _of_sets(context: PlanContext) -> Iterator[Shard]:
    """Shards of each set, in each space; none holds images of two sets."""
    spec = DISTANCES.required(context.spec.stages)
    for space in spec.spaces:
        common: dict[str, Any] = {
            "space": space,
            "levels": context.facts.references[DISTANCES.name].levels,
            **_seen_by(context, space),
        }
        real = {**common, "real": reference_settings(context, DISTANCES.name)}
        for number, items in enumerate(_real(context)):
            settings = {**real, "set": max(number - 1, 0)}
            yield from chunk(FEATURES_TABLE, COMPUTATION, settings, items, spec.shard_items)
        for generator in context.facts.generators.values():
            own = {**common, "generated": generated_settings(context, generator)}
            for number, items in enumerate(_generated(context, generator)):
                settings = {**own, "set": number}
                yield from chunk(FEATURES_TABLE, COMPUTATION, settings, items, spec.shard_items)


def _seen_by(context: PlanContext, space: str) -> dict[str, Any]:
    """What makes the features of a space; nothing for those that are the pixels."""
    if space == ANNOTATOR:
        return {"annotator": feature_settings(context)}
    if space == PCA:
        return {"pca": pca_settings(context)}
    if space in context.spec.extractors:
        return {"extractor": extractor_settings(context, space)}
    return {}


def _real(context: AuditContext) -> Iterator[list[Item]]:
    """The reference, then the other sets; chosen at random, with no image in two of them."""
    spec, facts = (
        DISTANCES.required(context.spec.stages),
        context.facts.references[DISTANCES.name],
    )
    assert facts.length is not None, "validation refuses a reference set without end"
    order = sample_order(facts.length, real_order_seed(context))
    for number in range(1 + real_sets(context)):
        group = REAL if number else REFERENCE
        yield [
            Item(
                generator=None,
                condition=None,
                group=group,
                image_id=f"distances-{group}-{place:07d}",
                label=None if facts.labels is None else facts.labels[place],
                seed=0,
                index=place,
            )
            for place in order[number * spec.images : (number + 1) * spec.images].tolist()
        ]


def _generated(context: AuditContext, generator: GeneratorFacts) -> Iterator[list[Item]]:
    """Numbers from 0 on; where the generator takes a class, those of the real images by chance.

    Classes come in turn where the real images have none.
    """
    spec = DISTANCES.required(context.spec.stages)
    known = context.facts.references[DISTANCES.name].labels
    count = spec.images * spec.sets
    classes: Sequence[int | None] = (
        classes_of_real(context, "distances", generator, known, count) or [None] * count
    )
    items = [
        Item(
            generator=generator.name,
            condition=classes[number],
            group=GENERATED,
            image_id=f"distances-{generator.name}-{number:07d}",
            label=classes[number],
            seed=0,
            index=number,
        )
        for number in range(count)
    ]
    for start in range(0, count, spec.images):
        yield items[start : start + spec.images]


def _cost(context: AuditContext) -> Cost:
    costs = []
    if DISTANCES.of(context.spec.stages) is not None:
        costs.append(_cost_of_sets(context))
    if seeks_in_features(context.spec):
        costs.append(features_cost(context))
    return Cost(
        sum(each.items for each in costs),
        sum(each.shards for each in costs),
        sum(each.evaluations for each in costs),
    )


def _cost_of_sets(context: AuditContext) -> Cost:
    spec = DISTANCES.required(context.spec.stages)
    generators = context.facts.generators.values()
    drawn = [each for each in generators if each.samples is None]
    sets = 1 + real_sets(context) + len(generators) * spec.sets
    shards = sets * -(-spec.images // spec.shard_items)
    spaces = len(spec.spaces)
    evaluations = spaces * len(drawn) * spec.sets * spec.images
    return Cost(spaces * sets * spec.images, spaces * shards, evaluations)


STAGE = Stage(
    table=FEATURES_TABLE,
    computations=(COMPUTATION,),
    description="features of generated and of real images, kept for what compares them",
    needs=(ANNOTATOR_TABLE.name, PCA_TABLE.name),
    enabled=lambda spec: DISTANCES.of(spec.stages) is not None or seeks_in_features(spec),
    plan=plan,
    cost=_cost,
)
