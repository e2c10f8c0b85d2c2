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
from ...report.section import ReportContext, Section, present
from ...report.summary import MISSING, Summary, number
from ...report.tables import Table
from .figures import patch_histograms, patch_scatter, top_pictures
from .reduce import fitted_mixtures


def patch_section(context: ReportContext, summary: Summary, generator: GeneratorInfo) -> Section:
    """How far a model of 8x8 patches explains the density."""
    reduce = context.reduce
    title = "Is it a model of small patches?"
    fits = fitted_mixtures(reduce)
    if fits is None or not fits_patches(generator):
        return Section("patches", title, [], [], [])
    return Section(
        "patches",
        title,
        [
            "A mixture of Gaussians of non-overlapping 8×8 patches knows nothing of an image "
            "beyond a patch: an image's ln p is the sum over its patches. If it ranks images as "
            "the generator does, the generator's density says little more of them than their "
            "small patches do (Friedman and Weiss found correlations above 0.9).",
            *_model_sentences(fits, generator),
            *_coverage(generator),
            _rule(reduce, generator),
        ],
        [
            *patch_scatter(reduce, generator),
            *patch_histograms(reduce, generator),
            *present(top_pictures(reduce, generator)),
        ],
        [
            *present(_correlation_table(reduce, generator, summary)),
            *present(_class_table(reduce, generator, summary)),
            *present(_overlap_table(reduce, generator, summary)),
        ],
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


def _rows_of(context: ReduceContext) -> list[tuple[str, str | None]]:
    rows: list[tuple[str, str | None]] = [(group.name, None) for group in context.groups]
    if context.inliers is not None:
        rows.append((context.inliers.name, WITH_OUTLIERS))
    return rows


def _correlation_table(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Table | None:
    rows = []
    for group, against in _rows_of(context):
        for condition in (OWN, MARGINAL, PER_CLASS_MEAN):
            for estimator in summary.estimators:
                found = [
                    summary.under(estimator).find(
                        f"patch_correlation_{kind}",
                        generator=generator.name,
                        group=group,
                        against=against,
                        conditions=(condition,),
                    )
                    for kind in ("pearson", "spearman")
                ]
                if found[0] is not None:
                    cells = [MISSING if each is None else each.fixed(2) for each in found]
                    n = str(found[0].n)
                    rows.append([named(group, against), condition, estimator or MISSING, *cells, n])
    if not rows:
        return None
    return Table(
        "Correlation of ln p by the generator with ln p by the patch model",
        ["group", "density", "estimator", "Pearson", "Spearman", "N"],
        rows,
        key="patch-correlation",
    )


def _class_table(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Table | None:
    if context.inliers is None:
        return None
    rows = []
    for index in range(generator.num_classes):
        for against in (None, WITH_OUTLIERS):
            found = [
                summary.find(
                    f"patch_correlation_{kind}",
                    generator=generator.name,
                    group=context.inliers.name,
                    against=against,
                    conditions=(class_condition(index),),
                )
                for kind in ("pearson", "spearman")
            ]
            if found[0] is not None:
                cells = [MISSING if each is None else each.fixed(2) for each in found]
                group = named(context.inliers.name, against)
                rows.append([str(index), group, *cells, str(found[0].n)])
    if not rows:
        return None
    return Table(
        "The same under each class"
        + ("" if summary.estimator is None else f", {summary.estimator} estimates"),
        ["class", "images", "Pearson", "Spearman", "N"],
        rows,
        key="patch-classes",
    )


def _overlap_table(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Table | None:
    if context.inliers is None:
        return None
    rows = []
    for against in (None, WITH_OUTLIERS):
        for estimator in summary.estimators:
            overlap, size = (
                summary.under(estimator).find(
                    f"patch_top_{metric}",
                    generator=generator.name,
                    group=context.inliers.name,
                    against=against,
                )
                for metric in ("overlap", "size")
            )
            if overlap is not None and size is not None:
                rows.append(
                    [
                        named(context.inliers.name, against),
                        estimator or MISSING,
                        str(int(size.value)),
                        overlap.scaled(100).fixed(0),
                        number(100 * size.value / overlap.n, 2),
                        str(overlap.n),
                    ]
                )
    if not rows:
        return None
    return Table(
        "Images of highest ln p in both models, under their own class. The lists hold 20 images, "
        "or half of them where there are fewer than 40",
        ["images", "estimator", "list", "in both, %", "by chance, %", "N"],
        rows,
        key="patch-top",
    )
