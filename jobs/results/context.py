"""What the reducers are told of a run, out of its spec and the facts of what that names."""

from ..audits import TABLES
from ..audits.inversion.settings import INVERSION
from ..audits.sweep.settings import SWEEP
from ..plan.stage import AuditContext
from ..record.run_directory import RunDirectory
from ..reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from ..reduce.tables import RunTables
from ..spec.audit import AuditSpec
from ..spec.facts import Facts


def reduce_context(run: RunDirectory, spec: AuditSpec, facts: Facts) -> ReduceContext:
    """The context in which a run is reduced, reported and compared."""
    audit = AuditContext(spec, facts)
    sweep, inversion = SWEEP.of(spec.stages), INVERSION.of(spec.stages)
    return ReduceContext(
        tables=RunTables(run.storage, TABLES),
        groups=tuple(GroupInfo(group.name, group.role, group.conditions) for group in spec.audited),
        generators=tuple(
            GeneratorInfo(found.name, found.num_classes, found.image_shape)
            for found in facts.generators.values()
        ),
        seed=spec.seed,
        resamples=spec.statistics.resamples,
        sweep_tolerance=None if sweep is None else sweep.tolerance,
        null=None if spec.null is None else spec.null.name,
        class_turns=audit.class_turns,
        levels=audit.levels,
        distance=None if inversion is None else inversion.distance,
    )
