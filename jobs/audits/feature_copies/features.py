"""What of ``copies`` the ``features`` stage computes: training images, and those asked about.

Each once in each space, in parts of its own, so that a run that asks about another generator finds
the others there.
"""

from collections.abc import Iterator
from typing import Any

from ....workers.features import COMPUTATION, FEATURES_TABLE
from ....workers.shard import Item, Shard, chunk
from ...plan.stage import AuditContext, Cost, PlanContext
from ...spec.audit import AuditSpec
from ..copies.plan import HELD_OUT, PLANTED, asked_images, cost
from ..copies.settings import COPIES
from ..images.plan import reference_settings

TRAINING = "training"
"""What the table ``features`` calls the group of the images that may have been copied."""

_NEEDED = ("generated", "planted", "planted_images", "planted_seed")
_PLANTED_NEEDS = ("training", "training_length")


def seeks_in_features(spec: AuditSpec) -> bool:
    """Whether copies are sought in any feature space."""
    settings = COPIES.of(spec.stages)
    return settings is not None and bool(settings.spaces)


def feature_shards(context: PlanContext, seen_by: dict[str, Any]) -> Iterator[Shard]:
    """Shards of the training images, then those of all images asked about, in one space.

    The latter are those of the stage ``copies``, one by one. ``seen_by`` says which space it is.
    """
    size = COPIES.required(context.spec.stages).shard_items
    training = {**seen_by, "real": reference_settings(context, COPIES.name)}
    yield from chunk(FEATURES_TABLE, COMPUTATION, training, _training(context), size)
    for settings, items in asked_images(context):
        needed = {key: settings[key] for key in _NEEDED if key in settings}
        if items[0].group == HELD_OUT:
            needed = {"real": settings["held_out"]}
        if items[0].group == PLANTED:
            needed |= {key: settings[key] for key in _PLANTED_NEEDS}
        yield from chunk(FEATURES_TABLE, COMPUTATION, {**seen_by, **needed}, items, size)


def _training(context: PlanContext) -> Iterator[Item]:
    facts = context.facts.references[COPIES.name]
    assert facts.length is not None, "validation refuses a reference set without end"
    for place in range(facts.length):
        label = None if facts.labels is None else facts.labels[place]
        image_id = f"{TRAINING}-{place:07d}"
        yield Item(None, None, TRAINING, image_id, label, seed=0, index=place)


def features_cost(context: AuditContext) -> Cost:
    """Of all spaces."""
    spec, once = COPIES.required(context.spec.stages), cost(context)
    length, spaces = context.facts.references[COPIES.name].length or 0, len(spec.spaces)
    shards = once.shards + -(-length // spec.shard_items)
    return Cost(spaces * (once.items + length), spaces * shards, spaces * once.evaluations)
