"""Plans the ``density_terms`` stage: the terms of every image's density under its own class."""

from collections.abc import Iterator
from dataclasses import replace

from ....core.polish import polish_calls
from ....core.settings.guided import GuidedSettings
from ....workers.density_terms import COMPUTATION, DENSITY_TERMS_TABLE
from ....workers.shard import Item, Shard, chunk
from ...plan.stage import AuditContext, Cost, PlanContext, Stage, own_condition
from ...plan.work import Work
from ...spec.facts import GeneratorFacts
from ..banked import products_of
from ..inversion.settings import INVERSION
from ..likelihood.plan import Subject, image_item, subjects
from ..patches.plan import simulation_settings
from .settings import EXPLANATION


def plan(context: PlanContext) -> Iterator[Shard]:
    """Shards of (generator, image); simulated images, whose latent is known, apart."""
    size = EXPLANATION.required(context.spec.stages).shard_items
    for generator in context.facts.generators.values():
        settings = simulation_settings(context, generator)
        for simulated in (False, True):
            items = (
                _item(context, generator, subject)
                for subject in subjects(context, generator, simulated=simulated)
            )
            yield from chunk(DENSITY_TERMS_TABLE, COMPUTATION, settings, items, size)


def _item(context: PlanContext, generator: GeneratorFacts, subject: Subject) -> Item:
    condition = own_condition(context, generator, subject.label, subject.position)
    place = context.inversions.get((generator.name, condition, subject.image_id))
    return replace(
        image_item(context, generator.name, subject, condition),
        inversion_part=None if place is None else place[0],
        inversion_row=None if place is None else place[1],
    )


def _cost(context: AuditContext) -> Cost:
    spec = EXPLANATION.required(context.spec.stages)
    inversion = INVERSION.required(context.spec.stages)
    items, work = 0, []
    for generator in context.facts.generators.values():
        products = products_of(generator)
        for group in context.spec.audited:
            count = context.group_size(group)
            items += count
            points = 1 if group.role == "simulated" else inversion.ends
            calls = tuple(polish_calls(GuidedSettings.polish, products, points))
            work.append(Work(generator.name, count, spec.shard_items, calls))
    return Cost.of(items, -(-items // spec.shard_items), work)


STAGE = Stage(
    table=DENSITY_TERMS_TABLE,
    computations=(COMPUTATION,),
    description="what each image's density is made of: fit, prior and volume at its best mode",
    needs=("images", "inversion", "variance"),
    enabled=lambda spec: EXPLANATION.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
    needs_latent=True,
)
