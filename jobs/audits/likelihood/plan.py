"""Plans the ``likelihood`` stage: AIS of every image under its conditions, simulated ones too."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ....workers.likelihood import ESTIMATORS, LIKELIHOOD_TABLE
from ....workers.schema import TableSchema
from ....workers.shard import Item, Shard, chunk
from ...plan.stage import (
    AuditContext,
    Cost,
    ImageRecord,
    PlanContext,
    Stage,
    conditions_of,
    group_pairs,
    own_condition,
)
from ...plan.work import BankWork, Work
from ...spec.audit import GroupSpec
from ...spec.facts import GeneratorFacts
from ...spec.stages import StageKey
from ..banked import classes_met
from .estimators import (
    estimate_work,
    estimator_bank,
    estimator_settings,
    reuses_inversion,
)
from .settings import LIKELIHOOD, EstimatorSpec


@dataclass(frozen=True)
class Subject:
    """An image to be evaluated: a stored one, or one that the worker simulates."""

    group: GroupSpec
    position: int
    image_id: str
    label: int | None
    stored: ImageRecord | None


def subjects(
    context: PlanContext, generator: GeneratorFacts, *, simulated: bool
) -> Iterator[Subject]:
    """The images that a generator's densities are estimated for, in the order of the groups."""
    for group in context.spec.audited:
        if group.role == "simulated" and simulated:
            for position in range(context.group_size(group)):
                label = own_condition(context, generator, None, position)
                image_id = f"{group.name}-{generator.name}-{position:06d}"
                yield Subject(group, position, image_id, label, None)
        elif group.role != "simulated" and not simulated:
            for position, image in enumerate(context.images_under(generator, group)):
                yield Subject(group, position, image.image_id, image.label, image)


def image_item(
    context: PlanContext, generator: str | None, subject: Subject, condition: int | None
) -> Item:
    """The item of a subject's pixels under a condition, stored or simulated; it draws nothing."""
    if subject.stored is not None:
        return subject.stored.item(generator, condition, seed=0)
    return Item(
        generator=generator,
        condition=condition,
        group=subject.group.name,
        image_id=subject.image_id,
        label=subject.label,
        seed=0,
        image_seed=context.seed("simulated", generator, subject.image_id),
    )


def item(
    context: PlanContext,
    spec: EstimatorSpec,
    generator: GeneratorFacts,
    subject: Subject,
    condition: int | None,
    *,
    replicate: bool = False,
) -> Item:
    """The item that evaluates a subject under a condition.

    Its seed does not depend on the stage: with a setting doubled, the rest stays as it was. A
    replicate has another seed, and no start that the first estimate had: an inversion that both
    began at would make them agree where both miss the best mode.
    """
    inverted = None
    if reuses_inversion(context, spec) and not replicate:
        inverted = context.inversions.get((generator.name, condition, subject.image_id))
    return replace(
        image_item(context, generator.name, subject, condition),
        seed=context.seed(
            *(["replicate"] if replicate else []),
            *(spec.estimator, generator.name, condition, subject.image_id),
        ),
        inversion_part=None if inverted is None else inverted[0],
        inversion_row=None if inverted is None else inverted[1],
    )


def plan_estimates(
    context: PlanContext, table: TableSchema, spec: EstimatorSpec
) -> Iterator[Shard]:
    """Shards of (generator, image, condition); simulated images apart from stored ones."""
    for generator in context.facts.generators.values():
        settings = estimator_settings(context, generator, spec)
        for simulated in (False, True):
            items = (
                item(context, spec, generator, subject, condition)
                for subject in subjects(context, generator, simulated=simulated)
                for condition in conditions_of(
                    context, generator, subject.group, subject.label, subject.position
                )
            )
            computation = ESTIMATORS[spec.estimator]
            yield from chunk(table, computation, settings, items, spec.shard_items)


def estimate_cost(context: AuditContext, spec: EstimatorSpec) -> Cost:
    """Items, shards and generator evaluations of a whole stage of estimates.

    A bank counts once, though each worker has its own.
    """
    items, size = 0, spec.shard_items
    work: list[Work] = []
    banks: list[BankWork] = []
    for generator in context.facts.generators.values():
        mine = 0
        sizes = [(group, context.group_size(group)) for group in context.spec.audited]
        for group in context.spec.audited:
            count = group_pairs(context, generator, group)
            mine += count
            work += estimate_work(context, generator, group, spec, count, size)
        banks += estimator_bank(generator, spec, mine, size, classes_met(context, generator, sizes))
        items += mine
    return Cost.of(items, -(-items // size), work, banks)


def estimating_stage(key: StageKey[EstimatorSpec], table: TableSchema, description: str) -> Stage:
    """The stage that computes the estimates of a key of the spec, into the table of its name."""

    def spec_of(context: AuditContext) -> EstimatorSpec:
        return key.required(context.spec.stages)

    return Stage(
        table=table,
        computations=tuple(ESTIMATORS.values()),
        description=description,
        needs=("images", "inversion", "variance", "tuning"),
        enabled=lambda spec: key.of(spec.stages) is not None,
        plan=lambda context: plan_estimates(context, table, spec_of(context)),
        cost=lambda context: estimate_cost(context, spec_of(context)),
        needs_latent=True,
    )


STAGE = estimating_stage(
    LIKELIHOOD, LIKELIHOOD_TABLE, "ln p(x) by annealed importance sampling, guided by default"
)
