"""Plans the ``inversion`` stage: every image, under its conditions, in every generator."""

from collections.abc import Iterator, Sequence
from typing import Any

from ....core.calls import Kind
from ....core.settings.definition import setting_values
from ....core.settings.inversion import InversionSettings
from ....workers.inversion import COMPUTATION, INVERSION_TABLE
from ....workers.shard import Shard, chunk
from ...plan.stage import AuditContext, Cost, PlanContext, Stage, conditions_of, group_pairs
from ...plan.work import BankWork, Chore, Work
from ...spec.facts import GeneratorFacts
from ..banked import bank_settings, bank_work, classes_met, products_of
from ..images.plan import generator_settings
from ..perceptual.plan import backbone_settings, lpips_chore
from .settings import INVERSION, InversionSpec


def _settings(context: AuditContext) -> InversionSpec:
    return INVERSION.required(context.spec.stages)


def inversion_settings(context: AuditContext, generator: GeneratorFacts) -> dict[str, Any]:
    """How images are inverted, whichever they are."""
    spec = _settings(context)
    settings = {
        **setting_values(InversionSettings, spec),
        "distance": spec.distance,
        **bank_settings(context, generator, spec.bank),
    }
    return settings | (backbone_settings(context) if spec.distance == "lpips" else {})


def inversion_work(
    generator: GeneratorFacts, spec: InversionSpec, images: int, classes: int
) -> tuple[list[Work], list[BankWork]]:
    """The inversions of so many images, each under one of so many classes, and their bank."""
    from ....core.inversion import inversion_calls

    settings = InversionSettings(**setting_values(InversionSettings, spec))
    squared = spec.distance == "mse"
    calls = tuple(inversion_calls(settings, products_of(generator), polished=squared))
    work = [Work(generator.name, images, spec.shard_items, calls)]
    return work, bank_work(generator, settings, images, spec.shard_items, classes)


def inversion_chores(context: AuditContext, work: Sequence[Work]) -> list[Chore]:
    """What inversions take besides their calls: LPIPS of each image, where that is the distance."""
    if _settings(context).distance != "lpips":
        return []
    return [
        lpips_chore(
            context, each.images * call.times * call.rows, gradient=call.kind is Kind.DESCENT
        )
        for each in work
        for call in each.calls
    ]


def plan(context: PlanContext) -> Iterator[Shard]:
    """Shards of (generator, image, condition), in the order of groups and images."""
    spec = _settings(context)
    for generator in context.facts.generators.values():
        settings = {**generator_settings(generator), **inversion_settings(context, generator)}
        items = (
            image.item(
                generator.name,
                condition,
                context.seed("inversion", generator.name, condition, image.image_id),
            )
            for group in context.spec.audited
            for position, image in enumerate(context.images_under(generator, group))
            for condition in conditions_of(context, generator, group, image.label, position)
        )
        yield from chunk(INVERSION_TABLE, COMPUTATION, settings, items, spec.shard_items)


def _cost(context: AuditContext) -> Cost:
    """A bank counts once, though each worker has its own."""
    spec, items = _settings(context), 0
    work: list[Work] = []
    banks: list[BankWork] = []
    for generator in context.facts.generators.values():
        groups = [group for group in context.spec.audited if group.role != "simulated"]
        counts = [group_pairs(context, generator, group) for group in groups]
        sizes = [(group, context.group_size(group)) for group in groups]
        items += sum(counts)
        inverted, bank = inversion_work(
            generator, spec, sum(counts), classes_met(context, generator, sizes)
        )
        work += inverted
        banks += bank
    chores = inversion_chores(context, work)
    return Cost.of(items, -(-items // spec.shard_items), work, banks, chores)


STAGE = Stage(
    table=INVERSION_TABLE,
    computations=(COMPUTATION,),
    description="each image's nearest point on the manifold, from several restarts",
    needs=("images",),
    enabled=lambda spec: INVERSION.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
    needs_latent=True,
)
