"""Plans the ``ppca`` stage: the Gaussian prior that ``sensing`` is held against, fitted once."""

from ....workers.ppca import COMPUTATION, PPCA_TABLE
from ....workers.shard import Item, Shard
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ..images.plan import reference_settings
from .settings import SENSING, SensingSpec


def _settings(context: AuditContext) -> SensingSpec:
    return SENSING.required(context.spec.stages)


def plan(context: PlanContext) -> list[Shard]:
    """One shard with one item: the fit to the whole reference set of ``sensing``."""
    spec, dimensions = _settings(context), context.facts.dimensions
    settings = {
        **reference_settings(context, "sensing"),
        "components": spec.components_of(dimensions),
    }
    item = Item(None, None, "reference", f"{spec.dataset}:{spec.split or 'all'}", None, seed=0)
    return [Shard(PPCA_TABLE, COMPUTATION, settings, (item,))]


STAGE = Stage(
    table=PPCA_TABLE,
    computations=(COMPUTATION,),
    description="a Gaussian prior over a reference set, the baseline of sensing",
    needs=(),
    enabled=lambda spec: SENSING.of(spec.stages) is not None,
    plan=plan,
    cost=lambda _: Cost(1, 1, 0),
)
