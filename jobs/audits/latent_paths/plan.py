"""Plans the ``latent_paths`` stage: every generator's paths, and held-out images as the control."""

from ....workers.held_out import held_out_halves, held_out_id
from ....workers.latent_paths import COMPUTATION, LATENT_PATHS_TABLE
from ....workers.shard import Item, Shard, chunk
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ..copies.plan import GENERATED, HELD_OUT, both_sets, held_out_count
from ..images.plan import generator_settings
from .settings import LATENT_PATHS

_CONTROLS = 1024


def plan(context: PlanContext) -> list[Shard]:
    """Shards of each generator's paths, then of the held-out images of half 1."""
    spec = LATENT_PATHS.required(context.spec.stages)
    shared = both_sets(context, LATENT_PATHS.name, spec.images, spec.block_mib)
    shards: list[Shard] = []
    for generator in context.facts.generators.values():
        settings = {
            **shared,
            **generator_settings(generator),
            "steps": spec.steps,
            "path_seed": context.seed("latent_paths", generator.name),
        }
        classes = generator.conditions or (None,)
        items = [
            Item(
                generator=generator.name,
                condition=classes[number % len(classes)],
                group=GENERATED,
                image_id=f"path-{number:06d}",
                label=None,
                seed=0,
                index=number,
            )
            for number in range(spec.paths)
        ]
        shards += chunk(LATENT_PATHS_TABLE, COMPUTATION, settings, items, spec.shard_items)
    _, judged = held_out_halves(
        shared["held_out_length"], shared["held_out_images"], shared["held_out_seed"]
    )
    controls = [
        Item(None, None, HELD_OUT, held_out_id(place), None, seed=0, index=place)
        for place in sorted(judged)
    ]
    return [*shards, *chunk(LATENT_PATHS_TABLE, COMPUTATION, shared, controls, _CONTROLS)]


def _cost(context: AuditContext) -> Cost:
    spec, generators = LATENT_PATHS.required(context.spec.stages), len(context.facts.generators)
    held = held_out_count(context, LATENT_PATHS.name, spec.images)
    controls = held - held // 2
    paths = generators * spec.paths
    shards = generators * -(-spec.paths // spec.shard_items) + -(-controls // _CONTROLS)
    return Cost(paths + controls, shards, paths * (spec.steps + 1))


STAGE = Stage(
    table=LATENT_PATHS_TABLE,
    computations=(COMPUTATION,),
    description="steps along paths of the latent, and the nearest training images there",
    needs=(),
    enabled=lambda spec: LATENT_PATHS.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
    needs_latent=True,
)
