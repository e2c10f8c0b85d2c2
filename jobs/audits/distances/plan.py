"""Plans the ``distances`` stage: every set against the reference."""

from dataclasses import dataclass, field
from typing import NamedTuple

from ....workers.distances import COMPUTATION, DISTANCES_TABLE
from ....workers.features import FEATURES_TABLE
from ....workers.schema import STATUS_OK
from ....workers.shard import Item, Shard
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from .features_plan import REFERENCE, real_sets
from .settings import DISTANCES


class _Key(NamedTuple):
    space: str
    generator: str | None
    group: str
    number: int


@dataclass
class _Set:
    parts: list[str] = field(default_factory=list)
    usable: int = 0


def plan(context: PlanContext) -> list[Shard]:
    """A shard for each set, all of them of as many images.

    An image without features makes every set smaller, so that they stay comparable; a set that
    lacks more than half of its images does not, and fails.
    """
    asked = DISTANCES.required(context.spec.stages).images
    sets = _sets(context)
    enough = [each.usable for each in sets.values() if 2 * each.usable >= asked]
    count = min(enough, default=asked)
    return [
        Shard(
            DISTANCES_TABLE,
            COMPUTATION,
            {
                "space": key.space,
                "images": count,
                "reference": sets[_Key(key.space, None, REFERENCE, 0)].parts,
                "parts": found.parts,
            },
            (
                Item(
                    generator=key.generator,
                    condition=None,
                    group=key.group,
                    image_id=f"{key.group}-{key.number:04d}",
                    label=None,
                    seed=context.seed("distances", *key),
                ),
            ),
        )
        for key, found in sets.items()
        if key.group != REFERENCE
    ]


def _sets(context: PlanContext) -> dict[_Key, _Set]:
    """The parts of each set of features, and how many images of it have any."""
    sets: dict[_Key, _Set] = {}
    planned = context.plans[FEATURES_TABLE.name]
    parts = context.run.each_part(FEATURES_TABLE, planned.ids, ["status"])
    for (shard_id, shard), part in zip(planned.with_ids(), parts, strict=True):
        item, settings = shard.items[0], shard.settings
        if "set" not in settings:
            continue
        key = _Key(settings["space"], item.generator, item.group, settings["set"])
        found = sets.setdefault(key, _Set())
        found.parts.append(shard_id)
        found.usable += part["status"].to_pylist().count(STATUS_OK)
    return sets


def _cost(context: AuditContext) -> Cost:
    spec = DISTANCES.required(context.spec.stages)
    sets = real_sets(context) + len(context.facts.generators) * spec.sets
    return Cost(len(spec.spaces) * sets, len(spec.spaces) * sets, 0)


STAGE = Stage(
    table=DISTANCES_TABLE,
    computations=(COMPUTATION,),
    description="distances of sets of generated images from real ones, and of real from real",
    needs=(FEATURES_TABLE.name,),
    enabled=lambda spec: DISTANCES.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
)
