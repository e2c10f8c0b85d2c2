"""Plans the ``feature_copies`` stage: the same images once more, in each feature space."""

from collections import defaultdict
from collections.abc import Iterator

from ....workers.copies import SHOWN
from ....workers.feature_copies import COMPUTATION, FEATURE_COPIES_TABLE
from ....workers.features import FEATURES_TABLE
from ....workers.shard import Shard, chunk
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ..copies.plan import GENERATED, HELD_OUT, PLANTED, asked_images, cost
from ..copies.settings import COPIES
from .features import TRAINING, seeks_in_features


def plan(context: PlanContext) -> Iterator[Shard]:
    """One space after another, so that a worker meets its training features again.

    A shard asks about the images of one part of features.
    """
    spec = COPIES.required(context.spec.stages)
    parts = _parts(context)
    for space in spec.spaces:
        asked = iter(parts[space, HELD_OUT] + parts[space, PLANTED] + parts[space, GENERATED])
        shared = {
            "space": space,
            "training_parts": parts[space, TRAINING],
            "held_out_parts": parts[space, HELD_OUT],
        }
        for settings, items in asked_images(context):
            for shard in chunk(FEATURE_COPIES_TABLE, COMPUTATION, {}, items, spec.shard_items):
                own = {**settings, **shared, "asked_part": next(asked)}
                yield Shard(FEATURE_COPIES_TABLE, COMPUTATION, own, shard.items)


def _parts(context: PlanContext) -> dict[tuple[str, str], list[str]]:
    """The parts of features of copies by space and group, as `feature_shards` has them in order."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for shard_id, shard in context.plans[FEATURES_TABLE.name].with_ids():
        if "set" not in shard.settings:
            found[shard.settings["space"], shard.items[0].group].append(shard_id)
    return found


def _cost(context: AuditContext) -> Cost:
    spaces, once = len(COPIES.required(context.spec.stages).spaces), cost(context)
    drawn = sum(each.samples is None for each in context.facts.generators.values())
    return Cost(spaces * once.items, spaces * once.shards, spaces * drawn * SHOWN)


STAGE = Stage(
    table=FEATURE_COPIES_TABLE,
    computations=(COMPUTATION,),
    description="the nearest training images in feature spaces",
    needs=(FEATURES_TABLE.name,),
    enabled=seeks_in_features,
    plan=plan,
    cost=_cost,
)
