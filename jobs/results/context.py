"""What the reducers are told of a run, out of its spec and the facts of what that names."""

from ..audits import TABLES
from ..audits.inversion.settings import INVERSION
from ..audits.sweep.settings import SWEEP
from ..plan.stage import PlanContext
from ..reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from ..reduce.tables import RunTables


def reduce_context(context: PlanContext) -> ReduceContext:
    """The context in which a complete run is reduced, reported and compared."""
    spec = context.spec
    planned = {name: list(shards.ids) for name, shards in context.plans.items()}
    sweep, inversion = SWEEP.of(spec.stages), INVERSION.of(spec.stages)
    return ReduceContext(
        tables=RunTables(context.run.storage, TABLES, planned=planned),
        groups=tuple(GroupInfo(group.name, group.role, group.conditions) for group in spec.audited),
        generators=tuple(
            GeneratorInfo(
                found.name, found.num_classes, found.image_shape, found.subset, found.series
            )
            for found in context.facts.generators.values()
        ),
        seed=spec.seed,
        resamples=spec.statistics.resamples,
        sweep_tolerance=None if sweep is None else sweep.tolerance,
        null=None if spec.null is None else spec.null.name,
        class_turns=context.class_turns,
        levels=context.levels,
        distance=None if inversion is None else inversion.distance,
        objects=() if spec.segmenter is None else spec.segmenter.objects,
    )
