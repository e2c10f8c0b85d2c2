"""Plans the ``feature_copies`` stage: the same images once more, in each feature space."""

from collections.abc import Iterator

from ....workers.feature_copies import COMPUTATION, FEATURE_COPIES_TABLE
from ....workers.shard import Shard
from ....workers.trained import ANNOTATOR_TABLE
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ...spec.audit import AuditSpec
from ..class_shares.annotator_plan import feature_settings
from ..copies.plan import cost, shards_of
from ..copies.settings import COPIES
from ..feature_space import ANNOTATOR, extractor_settings


def plan(context: PlanContext) -> Iterator[Shard]:
    """One space after another, so that a worker meets its training features again."""
    for space in COPIES.required(context.spec.stages).spaces:
        if space == ANNOTATOR:
            seen_by = {"annotator": feature_settings(context)}
        else:
            seen_by = {"extractor": extractor_settings(context, space)}
        more = {"space": space, **seen_by}
        yield from shards_of(context, FEATURE_COPIES_TABLE, COMPUTATION, more)


def _asked(spec: AuditSpec) -> bool:
    settings = COPIES.of(spec.stages)
    return settings is not None and bool(settings.spaces)


def _cost(context: AuditContext) -> Cost:
    spaces, once = len(COPIES.required(context.spec.stages).spaces), cost(context)
    return Cost(spaces * once.items, spaces * once.shards, spaces * once.evaluations)


STAGE = Stage(
    table=FEATURE_COPIES_TABLE,
    computations=(COMPUTATION,),
    description="the nearest training images in feature spaces",
    needs=(ANNOTATOR_TABLE.name,),
    enabled=_asked,
    plan=plan,
    cost=_cost,
)
