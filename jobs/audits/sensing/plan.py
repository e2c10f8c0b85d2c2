"""Plans the ``sensing`` stage: a sample of every group, at every number of measurements."""

from collections.abc import Iterator

from ....core.settings.definition import setting_values
from ....core.settings.sensing import SensingSettings
from ....workers.ppca import PPCA_TABLE
from ....workers.schema import STATUS_OK
from ....workers.sensing import COMPUTATION, SENSING_TABLE
from ....workers.shard import Item, Shard, chunk
from ...plan.stage import (
    AuditContext,
    Cost,
    ImageRecord,
    PlanContext,
    Stage,
    StageError,
    own_condition,
)
from ...plan.work import BankWork, Work
from ...spec.audit import GroupSpec
from ...spec.choice import balanced_choice
from ...spec.facts import GeneratorFacts
from ..banked import bank_settings, bank_work, classes_met, products_of
from ..images.plan import generator_settings
from .settings import SENSING, SensingSpec


def _settings(context: AuditContext) -> SensingSpec:
    return SENSING.required(context.spec.stages)


def plan(context: PlanContext) -> list[Shard]:
    """Shards of a generator's images, under their own conditions, at one number of measurements."""
    spec = _settings(context)
    ppca_part = _fitted_baseline(context)
    shards: list[Shard] = []
    for generator in context.facts.generators.values():
        for measurements in spec.measurements_of(context.facts.dimensions):
            settings = {
                **generator_settings(generator),
                "measurements": measurements,
                "matrix_seed": context.seed("sensing", "matrix"),
                **setting_values(SensingSettings, spec),
                **bank_settings(context, generator, spec.bank),
                "ppca_part": ppca_part,
            }
            items = list(_items(context, spec, generator))
            shards += chunk(SENSING_TABLE, COMPUTATION, settings, items, spec.shard_items)
    return shards


def _items(context: PlanContext, spec: SensingSpec, generator: GeneratorFacts) -> Iterator[Item]:
    for group in context.spec.audited:
        if group.role == "simulated":
            continue
        images = context.images_under(generator, group)
        for position in _sample(context, group, images, spec.images_per_group):
            image = images[position]
            yield image.item(
                generator.name,
                own_condition(context, generator, image.label, position),
                # Of the image alone: its noise is the same in every generator and at every m.
                context.seed("sensing", image.image_id),
            )


def _sample(
    context: PlanContext, group: GroupSpec, images: list[ImageRecord], count: int
) -> list[int]:
    """Positions of at most ``count`` images, classes as even as they can be."""
    labels = tuple(image.label for image in images if image.label is not None)
    known = labels if len(labels) == len(images) else None
    return balanced_choice(known, len(images), count, context.seed("sensing", group.name))


def _fitted_baseline(context: PlanContext) -> str:
    (part,) = context.shard_ids(PPCA_TABLE.name)
    (row,) = context.run.read(PPCA_TABLE, [part], ["status", "error"]).to_pylist()
    if row["status"] != STATUS_OK:
        raise StageError(f"stage ppca: {row['error']}")
    return part


def _cost(context: AuditContext) -> Cost:
    from ....core.sensing import sensing_calls

    spec = _settings(context)
    groups = [
        (group, min(spec.images_per_group, context.group_size(group)))
        for group in context.spec.audited
        if group.role != "simulated"
    ]
    sizes = [size for _, size in groups]
    settings = SensingSettings(**setting_values(SensingSettings, spec))
    each = len(spec.measurements_of(context.facts.dimensions))
    count, shards = each * sum(sizes), 0
    work: list[Work] = []
    banks: list[BankWork] = []
    for generator in context.facts.generators.values():
        shards += each * -(-sum(sizes) // spec.shard_items)
        calls = tuple(sensing_calls(settings, products_of(generator)))
        work.append(Work(generator.name, count, spec.shard_items, calls))
        banks += bank_work(
            generator,
            settings,
            count,
            spec.shard_items,
            classes_met(context, generator, groups),
        )
    return Cost.of(len(context.facts.generators) * count, shards, work, banks)


STAGE = Stage(
    table=SENSING_TABLE,
    computations=(COMPUTATION,),
    description="images restored from a few random measurements, against a Gaussian prior",
    needs=("images", "ppca"),
    enabled=lambda spec: SENSING.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
    needs_latent=True,
)
