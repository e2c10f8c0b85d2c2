"""Plans the ``variance_fit`` stage: what each image of a fit contributes at every variance."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ....core.calls import Calls
from ....core.observation_variance import curve_calls, variance_grid
from ....core.quantisation import quantisation_variance
from ....workers.inversion import INVERSION_TABLE
from ....workers.schema import STATUS_OK
from ....workers.shard import Item, Shard, chunk
from ....workers.variance import DATA
from ....workers.variance_fit import COMPUTATION, VARIANCE_FIT_TABLE
from ...plan.stage import (
    AuditContext,
    Cost,
    ImageRecord,
    PlanContext,
    Stage,
    StageError,
    own_condition,
)
from ...plan.work import Work
from ...spec.audit import AuditSpec, GroupSpec
from ...spec.facts import GeneratorFacts
from ..banked import products_of
from ..images.plan import generator_settings
from ..inversion.settings import INVERSION
from .halves import fitted_positions
from .settings import VARIANCE, VarianceSpec

# Data whose mean error is this many times the control's are not the generator's own images.
_FAR = 16.0
# For estimates of cost, where nothing was tried: more than any image's error.
_LARGE_ERROR = 0.1
# The mean of a few images' errors, tried as a run does, is right within this factor; a leaner trial
# leaves up to so many times a run's errors.
_CHANCE = 2.0
_LEANER = 16.0
# Images may come back to the last digit.
_LEAST_ERROR = 1e-12
_NEAR = 0.99 * _FAR
_CONTROL = "control"


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
    return VARIANCE.required(context.spec.stages)


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
    nearest: dict[str, int] = {}
    if any(_lacks_classes(context, generator, group) for group in _groups(context, roles)):
        nearest = _nearest_classes(context, generator)
    return [
        (
            image,
            nearest.get(image.image_id, generator.conditions[0])
            if _lacks_classes(context, generator, group)
            else own_condition(context, generator, image.label, position),
        )
        for group in _groups(context, roles)
        for position, image in enumerate(context.images_under(generator, group))
    ]


def _groups(context: AuditContext, roles: tuple[str, ...]) -> list[GroupSpec]:
    return [group for group in context.spec.audited if group.role in roles]


def _lacks_classes(context: AuditContext, generator: GeneratorFacts, group: GroupSpec) -> bool:
    """Whether nobody knows under which one of its conditions a group's images belong."""
    facts = context.facts.groups.get(group.name)
    unlabelled = facts is not None and facts.labels is None
    return bool(generator.num_classes) and group.conditions == "all" and unlabelled


def _nearest_classes(context: PlanContext, generator: GeneratorFacts) -> dict[str, int]:
    """The class under which an image has the least reconstruction error, the lower of equals.

    With the latent it is the maximum of the posterior, where classes are equally likely.
    """
    ordered = sorted(
        (image_id, error, condition)
        for (image_id, condition), error in _inversion_errors(context, generator).items()
        if condition is not None
    )
    found: dict[str, int] = {}
    for image_id, _, condition in ordered:
        found.setdefault(image_id, condition)
    return found


def _fitted(group: str, members: list[tuple[ImageRecord, int | None]]) -> FittedImages:
    return FittedImages(
        group, [image for image, _ in members], [condition for _, condition in members]
    )


def plan(context: PlanContext) -> Iterator[Shard]:
    """Shards of the images of each fit, along a grid around their mean squared error.

    A control without a usable error is left out: it then takes nothing from the null's noise.

    Raises:
        StageError: when no training image was inverted, or all of them without error.
    """
    spec = variance_settings(context)
    for generator in context.facts.generators.values():
        grids = fit_grids(context, generator)
        for fitted in fitted_images(context, generator):
            if fitted.group in grids:
                settings = {**generator_settings(generator), "variances": grids[fitted.group]}
                items = _items(context, generator, fitted)
                yield from chunk(VARIANCE_FIT_TABLE, COMPUTATION, settings, items, spec.shard_items)


def fit_grids(context: PlanContext, generator: GeneratorFacts) -> dict[str, list[float]]:
    """The grid of each fit, by its group: around the mean squared error of its images.

    A control's goes down to what storage leaves, and so does the data's where their error is not
    far above the control's: then they may be the generator's own images.

    Raises:
        StageError: as :func:`plan`.
    """
    errors = _inversion_errors(context, generator)
    means = {}
    for fitted in fitted_images(context, generator):
        known = [errors[key] for key in fitted.keys if key in errors]
        means[fitted.group] = float(np.mean(known or [np.nan]))
    try:
        return grids_around(context, generator, means)
    except ValueError as error:
        raise StageError(
            f"stage variance: the training images under {generator.name}: {error}; "
            "`offmanifold errors` lists what failed, and `variance: {value: ...}` needs "
            "no fit"
        ) from error


def grids_around(
    context: AuditContext, generator: GeneratorFacts, means: Mapping[str, float]
) -> dict[str, list[float]]:
    """The grid around each fit's mean squared error, by its group.

    Raises:
        ValueError: that of the data is not positive and finite.
    """
    controls = [mean for group, mean in means.items() if group != DATA and mean > 0]
    stored = quantisation_variance(context.levels)
    grids = {}
    for group, mean in means.items():
        near = not controls or mean < _FAR * controls[0]
        least = stored if group != DATA or near else None
        try:
            grids[group] = variance_grid(
                mean, generator.latent_dim, context.facts.dimensions, least
            )
        except ValueError:
            if group == DATA:
                raise
    return grids


def null_grid(grids: Mapping[str, Sequence[float]]) -> list[float]:
    """The data's grid, on to the end of the control's where that lies further.

    The null's noise makes its variance the data's, unless the inversion of some of its images
    fails, as it may have of the control's.
    """
    grid = list(grids[DATA])
    while grid[-1] < max(other[-1] for other in grids.values()):
        grid.append(grid[-1] * grid[1] / grid[0])
    return grid


def _items(context: PlanContext, generator: GeneratorFacts, fitted: FittedImages) -> Iterator[Item]:
    for image, condition in zip(fitted.images, fitted.conditions, strict=True):
        place = context.inversions.get((generator.name, condition, image.image_id))
        part, row = place or (None, None)
        plain = image.item(generator.name, condition, seed=0)
        yield replace(plain, inversion_part=part, inversion_row=row)


def _inversion_errors(
    context: PlanContext, generator: GeneratorFacts
) -> dict[tuple[str, int | None], float]:
    """The squared error of every image under every condition that was inverted without error."""
    columns = ["status", "generator", "condition", "image_id", "mse"]
    parts = context.run.each_part(INVERSION_TABLE, context.shard_ids(INVERSION_TABLE.name), columns)
    return {
        (row["image_id"], row["condition"]): row["mse"]
        for part in parts
        for row in part.to_pylist()
        if row["generator"] == generator.name and row["status"] == STATUS_OK
    }


def _cost(context: AuditContext) -> Cost:
    spec, inversion = variance_settings(context), INVERSION.of(context.spec.stages)
    assert inversion is not None, "the spec refuses a fitted variance without an inversion"
    share = 2 if spec.fit == "half" else 1
    items = shards = 0
    work: list[Work] = []
    for generator in context.facts.generators.values():
        lengths = grid_lengths(context, generator)
        data = sum(context.group_size(g) for g in context.spec.audited if g.role == "train")
        counts = [(-(-data // share), lengths.data)]
        if context.spec.null is not None:
            counts += [
                (context.group_size(group), lengths.control) for group in control_groups(context)
            ]
        for count, length in counts:
            items += count
            shards += -(-count // spec.shard_items)
            calls, further = curve_work(generator, inversion.ends, length)
            work.append(Work(generator.name, count, spec.shard_items, calls, further))
    return Cost.of(items, shards, work)


class Range(NamedTuple):
    """The least and the most of a number that is not known before."""

    least: int
    most: int


class GridLengths(NamedTuple):
    """How many variances the grids of the data, of their control and of the null may have."""

    data: Range
    control: Range
    null: Range


def grid_lengths(context: AuditContext, generator: GeneratorFacts) -> GridLengths:
    """Those for all the errors that the inversion may leave, as far as a trial tells of them.

    A grid goes from what storage leaves of an image to its error, where that is found to be near
    the generator's own, and is short else.
    """
    stored = quantisation_variance(context.levels)
    tried = context.errors.get(generator.name)

    of_data = of_own = stored, _LARGE_ERROR
    if tried is not None:
        below = _LEANER if tried.lean else _CHANCE
        of_data, of_own = (
            (max(error, _LEAST_ERROR) / below, max(error, _LEAST_ERROR) * _CHANCE)
            for error in (tried.data, tried.own)
        )
    has_control = bool(context.spec.null is not None and control_groups(context))
    found: list[tuple[int, int, int]] = []
    for own in of_own:
        # The longest grid is that of data which are hardly near enough.
        nearest = min(max(_NEAR * own, of_data[0]), of_data[1])
        for data in (*of_data, nearest):
            means = {DATA: data, _CONTROL: own} if has_control else {DATA: data}
            grids = grids_around(context, generator, means)
            null = null_grid(grids)
            found.append((len(grids[DATA]), len(grids.get(_CONTROL, null)), len(null)))
    return GridLengths(*(Range(min(each), max(each)) for each in zip(*found, strict=True)))


def curve_work(
    generator: GeneratorFacts, points: int, variances: Range
) -> tuple[tuple[Calls, ...], tuple[Calls, ...]]:
    """Calls for one image's curves, from so many latents: of the shortest grid, and further."""
    products = products_of(generator)
    return (
        tuple(curve_calls(products, points, variances.least)),
        tuple(curve_calls(products, points, variances.most - variances.least)),
    )


def _is_enabled(spec: AuditSpec) -> bool:
    variance = VARIANCE.of(spec.stages)
    return variance is not None and variance.fits_curves


STAGE = Stage(
    table=VARIANCE_FIT_TABLE,
    computations=(COMPUTATION,),
    description="what each training image says about the observation variance",
    needs=("images", "inversion"),
    enabled=_is_enabled,
    plan=plan,
    cost=_cost,
    needs_latent=True,
)
