"""Plans the ``variance_fit`` stage: what each image of a fit contributes at every variance."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ...core.observation_variance import curve_evaluations, variance_grid
from ...workers.schema import STATUS_OK
from ...workers.shard import Shard, chunk
from ..spec import GroupSpec
from ..stage_specs import VarianceSpec
from ..validation import GeneratorFacts
from .halves import fitted_positions
from .images import generator_settings
from .stage import (
    AuditContext,
    Estimate,
    ImageRecord,
    PlanContext,
    Stage,
    StageError,
    own_condition,
)

DATA = "train"
# For estimates of cost: how long a grid is depends on its logarithm.
_USUAL_VARIANCE = 0.01


@dataclass(frozen=True)
class FittedImages:
    """Images that one variance is fitted to, each under its own class.

    ``group`` is `DATA` for the training images of all groups, else the name of a group of the
    model's own images.
    """

    group: str
    images: list[ImageRecord]
    conditions: list[int | None]

    @property
    def keys(self) -> list[tuple[str, int | None]]:
        """Image and condition of each."""
        return [
            (image.image_id, condition)
            for image, condition in zip(self.images, self.conditions, strict=True)
        ]


def variance_settings(context: AuditContext) -> VarianceSpec:
    """The spec's settings of the variance."""
    assert context.spec.stages.variance is not None
    return context.spec.stages.variance


def fitted_images(context: PlanContext, generator: GeneratorFacts) -> list[FittedImages]:
    """The images that a generator's variances are fitted to: the data's, then its own.

    Its own generated images, stored as the data are, say how much of the data's variance a
    generator without any error would have: what storage and inversion leave. Only a null audit
    needs it.
    """
    data = _members(context, generator, ("train",))
    fitted = fitted_positions([image.label for image, _ in data], variance_settings(context))
    found = [_fitted(DATA, [data[position] for position in fitted])]
    if context.spec.null is not None:
        found += [
            _fitted(group.name, _members(context, generator, ("generated",)))
            for group in control_groups(context)
        ]
    return found


def control_groups(context: AuditContext) -> list[GroupSpec]:
    """The first group of generated images, if there is one."""
    return [group for group in context.spec.audited if group.role == "generated"][:1]


def _members(
    context: PlanContext, generator: GeneratorFacts, roles: tuple[str, ...]
) -> list[tuple[ImageRecord, int | None]]:
    return [
        (image, own_condition(context, generator, image.label, position))
        for group in context.spec.audited
        if group.role in roles
        for position, image in enumerate(context.images_under(generator, group))
    ]


def _fitted(group: str, members: list[tuple[ImageRecord, int | None]]) -> FittedImages:
    return FittedImages(
        group, [image for image, _ in members], [condition for _, condition in members]
    )


def plan(context: PlanContext) -> Iterator[Shard]:
    """Shards of the images of each fit, along a grid around their mean squared error.

    Raises:
        StageError: when none of the images was inverted.
    """
    spec = variance_settings(context)
    for generator in context.facts.generators.values():
        errors = _inversion_errors(context, generator)
        for fitted in fitted_images(context, generator):
            known = [errors[key] for key in fitted.keys if key in errors]
            settings = {
                **generator_settings(generator),
                "variances": _grid(context, generator, fitted, known),
            }
            items = []
            for image, condition in zip(fitted.images, fitted.conditions, strict=True):
                place = context.inversions.get((generator.name, condition, image.image_id))
                part, row = place or (None, None)
                plain = image.item(generator.name, condition, seed=0)
                items.append(replace(plain, inversion_part=part, inversion_row=row))
            compute = "offmanifold.workers.variance_fit:compute"
            yield from chunk("variance_fit", compute, settings, items, spec.shard_items)


def _grid(
    context: PlanContext, generator: GeneratorFacts, fitted: FittedImages, errors: list[float]
) -> list[float]:
    if not errors:
        raise StageError(
            f"stage variance: no image of {fitted.group} was inverted under {generator.name}: "
            "there is no variance to fit; `offmanifold errors` lists why"
        )
    try:
        return grid_around(context, generator, float(np.mean(errors)))
    except ValueError as error:
        raise StageError(
            f"stage variance: {fitted.group} under {generator.name}: {error}"
        ) from error


def grid_around(context: AuditContext, generator: GeneratorFacts, variance: float) -> list[float]:
    """The grid around a variance, for images stored as the data are.

    Raises:
        ValueError: if it is not positive and finite.
    """
    return variance_grid(variance, generator.latent_dim, context.facts.dimensions, context.levels)


def _inversion_errors(
    context: PlanContext, generator: GeneratorFacts
) -> dict[tuple[str, int | None], float]:
    """The squared error of every image under every condition that was inverted without error."""
    columns = ["status", "generator", "condition", "image_id", "mse"]
    parts = context.run.each_part("inversion", context.shard_ids("inversion"), columns)
    return {
        (row["image_id"], row["condition"]): row["mse"]
        for part in parts
        for row in part.to_pylist()
        if row["generator"] == generator.name and row["status"] == STATUS_OK
    }


def _estimate(context: AuditContext) -> Estimate:
    spec, inversion = variance_settings(context), context.spec.stages.inversion
    assert inversion is not None, "the spec refuses a fitted variance without an inversion"
    share = 2 if spec.fit == "half" else 1
    items = shards = evaluations = 0
    for generator in context.facts.generators.values():
        data = sum(context.group_size(g) for g in context.spec.audited if g.role == "train")
        counts = [-(-data // share)]
        if context.spec.null is not None:
            counts += [context.group_size(group) for group in control_groups(context)]
        each = curve_cost(context, generator, inversion.restarts)
        items += sum(counts)
        shards += sum(-(-count // spec.shard_items) for count in counts)
        evaluations += sum(counts) * each
    return Estimate(items, shards, evaluations)


def curve_cost(context: AuditContext, generator: GeneratorFacts, points: int) -> int:
    """Generator evaluations of one image's curves, from so many latents."""
    grid = grid_around(context, generator, _USUAL_VARIANCE)
    return curve_evaluations(generator.latent_dim, points, len(grid))


STAGE = Stage(
    name="variance_fit",
    description="what each training image says of the observation variance",
    needs=("images", "inversion"),
    enabled=lambda spec: spec.stages.variance is not None and spec.stages.variance.fits_curves,
    plan=plan,
    estimate=_estimate,
)
