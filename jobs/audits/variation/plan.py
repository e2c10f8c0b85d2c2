"""Plans the ``local_variation`` stage: every image once, simulated ones too."""

from ....workers.local_variation import COMPUTATION, LOCAL_VARIATION_TABLE
from ....workers.shard import Shard, chunk
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ..likelihood.plan import image_item, subjects
from ..patches.plan import simulation_settings
from .settings import LOCAL_VARIATION, LocalVariationSpec


def _settings(context: AuditContext) -> LocalVariationSpec:
    return LOCAL_VARIATION.required(context.spec.stages)


def plan(context: PlanContext) -> list[Shard]:
    """Shards of stored images, then each generator's simulated ones; no class is involved."""
    spec = _settings(context)
    settings = {"mean_floor": spec.mean_floor}
    stored = {}
    shards: list[Shard] = []
    for generator in context.facts.generators.values():
        for subject in subjects(context, generator, simulated=False):
            assert subject.stored is not None
            maker = subject.stored.generator
            stored[subject.image_id] = image_item(context, maker, subject, None)
    shards += chunk(LOCAL_VARIATION_TABLE, COMPUTATION, settings, stored.values(), spec.shard_items)
    for generator in context.facts.generators.values():
        items = [
            image_item(context, generator.name, subject, None)
            for subject in subjects(context, generator, simulated=True)
        ]
        if items:
            own = {**settings, **simulation_settings(context, generator)}
            shards += chunk(LOCAL_VARIATION_TABLE, COMPUTATION, own, items, spec.shard_items)
    return shards


def _cost(context: AuditContext) -> Cost:
    copies = len(context.facts.generators)
    items = simulated = 0
    for group in context.spec.audited:
        made = group.role in ("generated", "simulated")
        count = context.group_size(group) * (copies if made else 1)
        items += count
        simulated += count if group.role == "simulated" else 0
    return Cost(items, -(-items // _settings(context).shard_items), simulated, brief=True)


STAGE = Stage(
    table=LOCAL_VARIATION_TABLE,
    computations=(COMPUTATION,),
    description="standard deviation over mean in 8x8 patches, to compare with the density",
    needs=("images", "variance"),
    enabled=lambda spec: LOCAL_VARIATION.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
)
