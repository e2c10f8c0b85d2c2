"""Plans the ``pca`` stage: the components of the images that all sets are held against."""

from typing import Any

from ....workers.pca import COMPUTATION, PCA_TABLE
from ....workers.shard import Item, Shard
from ...plan.stage import AuditContext, Cost, PlanContext, Stage, StageError
from ...spec.audit import AuditSpec
from ..images.plan import reference_settings
from .settings import DISTANCES, PCA


def real_order_seed(context: AuditContext) -> int:
    """Of the order of the real images, whose first are the reference."""
    return context.seed("distances", "real")


def plan(context: PlanContext) -> list[Shard]:
    """One shard with one item."""
    spec = DISTANCES.required(context.spec.stages)
    settings = {
        **reference_settings(context, DISTANCES.name),
        "length": context.facts.references[DISTANCES.name].length,
        "order_seed": real_order_seed(context),
        "images": spec.images,
        "components": spec.components,
    }
    item = Item(None, None, "reference", f"{spec.dataset}:{spec.split or 'all'}", None, seed=0)
    return [Shard(PCA_TABLE, COMPUTATION, settings, (item,))]


def pca_settings(context: PlanContext) -> dict[str, Any]:
    """How a worker opens the components.

    Raises:
        StageError: there are none.
    """
    (part,) = context.shard_ids(PCA_TABLE.name)
    (row,) = context.run.read(PCA_TABLE, [part], ["n", "error"]).to_pylist()
    if row["n"] is None:
        raise StageError(f"stage pca: {row['error']}")
    return {"part": part}


def _asked(spec: AuditSpec) -> bool:
    settings = DISTANCES.of(spec.stages)
    return settings is not None and PCA in settings.spaces


STAGE = Stage(
    table=PCA_TABLE,
    computations=(COMPUTATION,),
    description="principal components of real images, a space for distances",
    needs=(),
    enabled=_asked,
    plan=plan,
    cost=lambda _: Cost(1, 1, 0),
)
