"""Is it a patch model? The generator's densities beside those of small patches."""

import pandas as pd

from ....core.patches import PATCH_SIDE, patch_grid
from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.image_scores import named
from ...reduce.schema import (
    MARGINAL,
    OWN,
    PER_CLASS_MEAN,
    WITH_OUTLIERS,
    class_condition,
)
from ...reduce.tables import succeeded
from ...report.correlations import CORRELATION_COLUMNS, correlation_cells
from ...report.section import Section, present
from ...report.summary import number
from ...report.table import (
    Cell,
    Column,
    N,
    Table,
    counts,
    filled_table,
    numbers,
    twins_side_by_side,
)
from ...report.view import View
from ...report.words import BOUND
from .figures import patch_histograms, patch_scatter, top_pictures
from .reduce import fitted_mixtures

_METRIC = "patch_correlation"


def patch_section(view: View) -> Section:
    """How far a model of 8x8 patches explains the density."""
    generator = view.generator
    title = "Is it a model of small patches?"
    fits = fitted_mixtures(view.context)
    if fits is None or not fits_patches(generator):
        return Section("patches", title, [], [], [])
    return Section(
        "patches",
        title,
        [
            "A mixture of Gaussians of non-overlapping 8×8 patches knows nothing about an image "
            "beyond a patch: an image's ln p is the sum over its patches. If it ranks images as "
            "the generator does, the generator's density says little more about them than their "
            "small patches do (Friedman and Weiss found correlations above 0.9).",
            *_model_sentences(fits, generator),
            *_coverage(generator),
            _rule(view.context, generator),
        ],
        present(*patch_scatter(view), *patch_histograms(view), top_pictures(view)),
        present(_correlation_table(view), _class_table(view), _overlap_table(view)),
    )


def fits_patches(generator: GeneratorInfo) -> bool:
    """Whether there is room for a patch in its images."""
    return min(generator.image_shape[1:]) >= PATCH_SIDE


def one_patch(generator: GeneratorInfo) -> bool:
    """Whether a single patch holds all that an image has, so that nothing is local."""
    return patch_grid(*generator.image_shape[1:]).patches == 1


def _model_sentences(fits: pd.DataFrame, generator: GeneratorInfo) -> list[str]:
    good = succeeded(fits)
    by_class = bool(generator.num_classes) and bool((good["condition"] >= 0).any())
    good = good[(good["condition"] >= 0) == by_class]
    if not len(good):
        return []
    first = good.iloc[0]
    span = {int(good["patches"].min()), int(good["patches"].max())}
    patches = " to ".join(f"{n:,}" for n in sorted(span))
    which = f"One mixture for each of {len(good)} classes" if by_class else "One mixture for all"
    settled = int(good["converged"].sum())
    return [
        f"{which}, of {first['components']} Gaussians with full covariances, fitted to {patches} "
        f"patches of {first['group']}{' each' if by_class else ''}; the patch mean is "
        f"{first['patch_mean']}, {number(float(first['covariance_floor']))} is added to every "
        f"variance. {settled} of {len(good)} fits converged."
    ]


def _coverage(generator: GeneratorInfo) -> list[str]:
    grid = patch_grid(*generator.image_shape[1:])
    if one_patch(generator):
        return [
            "At this size one patch is the whole image"
            + ("" if grid.covered == 1 else " but for its border")
            + ", so this is a mixture of Gaussians of images: a baseline, but no test of whether "
            "the density is local."
        ]
    cropped = "" if grid.covered == 1 else ", and the border outside them is left out"
    return [
        f"An image has {grid.rows} × {grid.columns} patches with "
        f"{number(100 * grid.covered)}% of its pixels{cropped}."
    ]


def _rule(context: ReduceContext, generator: GeneratorInfo) -> str:
    words = (
        "Correlations are over the images of one group"
        + (", each under its own class" if generator.num_classes else "")
        + ". Training images may be those that the mixture was fitted to."
    )
    if context.inliers is None:
        return words
    name = context.inliers.name
    if context.with_role("outlier"):
        words += (
            f" “{name} {WITH_OUTLIERS}” pools the {name} images with every outlier group: groups "
            "that lie far apart raise a correlation."
        )
    if generator.num_classes:
        words += (
            " “Per class mean” correlates, under each class, all images that were evaluated under "
            "it, where they are at least 10, and averages over classes."
        )
    return words


def _correlation_table(view: View) -> Table | None:
    inliers = view.context.inliers
    pooled = [] if inliers is None else [(inliers.name, WITH_OUTLIERS)]
    rows: list[list[Cell]] = []
    for group, against in [*[(group.name, None) for group in view.context.groups], *pooled]:
        for condition in (OWN, MARGINAL, PER_CLASS_MEAN):
            for each in view.by_estimator():
                cells = correlation_cells(each, _METRIC, group, condition, against=against)
                if cells:
                    rows.append([named(group, against), condition, each.estimator, *cells])
    table = filled_table(
        f"Correlation of ln p by the generator with ln p by the patch model; {BOUND}",
        [Column("group"), Column("density"), Column("estimator"), *CORRELATION_COLUMNS],
        rows,
        key="patch-correlation",
    )
    return twins_side_by_side(table, "estimator")


def _class_table(view: View) -> Table | None:
    if view.context.inliers is None:
        return None
    name = view.context.inliers.name
    rows: list[list[Cell]] = []
    for index in view.generator.conditions:
        for against in (None, WITH_OUTLIERS):
            condition = class_condition(index)
            cells = correlation_cells(view, _METRIC, name, condition, against=against)
            if cells:
                rows.append([index, named(name, against), *cells])
    table = filled_table(
        "The same under each class"
        + ("" if view.estimator is None else f", {view.estimator} estimates")
        + f"; {BOUND}",
        [counts("class"), Column("images"), *CORRELATION_COLUMNS],
        rows,
        key="patch-classes",
    )
    return twins_side_by_side(table, "images")


def _overlap_table(view: View) -> Table | None:
    if view.context.inliers is None:
        return None
    name = view.context.inliers.name
    rows: list[list[Cell]] = []
    for against in (None, WITH_OUTLIERS):
        for each in view.by_estimator():
            overlap, size = (
                each.find(f"patch_top_{metric}", name, against=against)
                for metric in ("overlap", "size")
            )
            if overlap is not None and size is not None:
                chance = size.value / overlap.n
                head = [named(name, against), each.estimator]
                rows.append([*head, int(size.value), overlap, chance, overlap.n])
    table = filled_table(
        "Images of highest ln p in both models, under their own class. The lists hold 20 images, "
        f"or half of them where there are fewer than 40; {BOUND}",
        [
            Column("images"),
            Column("estimator"),
            counts("list"),
            numbers("in both, %", decimals=0, scale=100),
            numbers("by chance, %", 2, scale=100),
            N,
        ],
        rows,
        key="patch-top",
    )
    return twins_side_by_side(table, "estimator")
