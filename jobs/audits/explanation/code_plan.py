"""Plans the ``code_lengths`` stage: every image once, simulated ones and the null's too."""

from collections.abc import Iterator

from ....workers.code_lengths import CODE_LENGTHS_TABLE, COMPUTATION
from ....workers.shard import Shard, chunk
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ..likelihood.plan import image_item, subjects
from ..null_audit.fit_plan import drawing_settings, split_items
from ..patches.plan import simulation_settings
from .settings import EXPLANATION


def plan(context: PlanContext) -> Iterator[Shard]:
    """Shards of stored images, then each generator's simulated ones, then its null's."""
    size = EXPLANATION.required(context.spec.stages).shard_items
    common = {"levels": context.levels}
    generators = context.facts.generators.values()
    stored = {}
    for generator in generators:
        for subject in subjects(context, generator, simulated=False):
            assert subject.stored is not None
            maker = subject.stored.generator
            stored[subject.image_id] = image_item(context, maker, subject, None)
    yield from chunk(CODE_LENGTHS_TABLE, COMPUTATION, common, stored.values(), size)
    for generator in generators:
        items = [
            image_item(context, generator.name, subject, None)
            for subject in subjects(context, generator, simulated=True)
        ]
        if items:
            own = {**common, **simulation_settings(context, generator)}
            yield from chunk(CODE_LENGTHS_TABLE, COMPUTATION, own, items, size)
        if context.spec.null is not None:
            drawn = drawing_settings(context, generator)
            own = {**common, **simulation_settings(context, generator), **drawn}
            judged = split_items(context, generator)[1]
            yield from chunk(CODE_LENGTHS_TABLE, COMPUTATION, own, judged, size)


def _cost(context: AuditContext) -> Cost:
    spec, copies = EXPLANATION.required(context.spec.stages), len(context.facts.generators)
    items = drawn = 0
    null = [] if context.spec.null is None else [context.spec.null]
    for group in [*context.spec.audited, *null]:
        made = group.role in ("generated", "simulated", "null")
        count = context.group_size(group) * (copies if made else 1)
        # The null's variance is fitted to half of its images.
        count = count // 2 if group.role == "null" else count
        items += count
        drawn += count if group.role in ("simulated", "null") else 0
    return Cost(items, -(-items // spec.shard_items), drawn)


STAGE = Stage(
    table=CODE_LENGTHS_TABLE,
    computations=(COMPUTATION,),
    description="the bits that each image takes without loss, to compare with the density",
    needs=("images", "variance"),
    enabled=lambda spec: EXPLANATION.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
)
