"""What makes an image dense? Its local variation, and the densest and least dense as pictures."""

import numpy as np

from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.groups import group_values
from ...reduce.image_scores import named
from ...reduce.schema import MARGINAL, OWN, WITH_OUTLIERS
from ...report.figure import Figure, mosaic
from ...report.pictures import SHOWN, originals
from ...report.scatter import points_by_group, scatter_figures
from ...report.section import ReportContext, Section, present
from ...report.summary import MISSING, Summary, number
from ...report.tables import Table, text
from ..likelihood.densities import TRUSTED
from .reduce import variation_scores


def variation_section(
    context: ReportContext, summary: Summary, generator: GeneratorInfo
) -> Section:
    """The images at both ends of the density, and how the density follows local variation."""
    scatter = variation_scatter(context.reduce, generator)
    words = [
        "Friedman and Weiss found that GANs prefer images with large flat areas and low contrast. "
        "Below are the images at both ends of the density, each under its own class."
        if generator.num_classes
        else "Friedman and Weiss found that GANs prefer images with large flat areas and low "
        "contrast. Below are the images at both ends of the density."
    ]
    if scatter:
        words.append(
            "Local variation is the standard deviation over the mean of the pixels of an 8×8 "
            "patch, averaged over an image's patches (of each channel). A negative correlation "
            "says that the density falls as images vary more from pixel to pixel."
        )
    return Section(
        "variation",
        "What makes an image dense?",
        words,
        [*extreme_pictures(context.reduce, generator), *scatter],
        present(_variation_table(context.reduce, generator, summary)),
    )


def extreme_pictures(context: ReduceContext, generator: GeneratorInfo) -> list[Figure]:
    """The densest images above the least dense: those outliers are held against, then with them."""
    frame = context.tables.read(TRUSTED, ["log_likelihood"])
    if frame is None or context.inliers is None or not context.tables.has("images"):
        return []
    groups = group_values(context, frame, "log_likelihood", generator)
    outliers = [group.name for group in context.with_role("outlier")]
    figures = []
    for against, names in ((None, []), (WITH_OUTLIERS, outliers)):
        chosen = [groups[name] for name in (context.inliers.name, *names) if name in groups]
        if not chosen or (against is not None and len(chosen) < 2):
            continue
        density = np.concatenate([values.own for values in chosen])
        ids = np.concatenate([values.image_id for values in chosen])
        known = ~np.isnan(density)
        words = named(context.inliers.name, against)
        figures += present(_extremes(context, generator, ids[known], density[known], words))
    return figures


def _extremes(
    context: ReduceContext,
    generator: GeneratorInfo,
    image_id: np.ndarray,
    density: np.ndarray,
    images: str,
) -> Figure | None:
    shown = min(SHOWN, len(density) // 2)
    if not shown:
        return None
    order = np.argsort(-density, kind="stable")
    ends = order[:shown], order[-shown:]
    spans = [
        f"{number(float(density[end[0]]), 4)} to {number(float(density[end[-1]]), 4)} nats"
        for end in ends
    ]
    return mosaic(
        [originals(context, image_id[end].tolist(), generator.image_shape) for end in ends],
        f"The {shown} {images} images of highest log density, {spans[0]}, above the {shown} of "
        f"lowest, {spans[1]}.",
        f"{images}: the {shown} of {len(density)} images of highest ln p above ({spans[0]}), the "
        f"{shown} of lowest below ({spans[1]}); density falls from left to right.",
        key=f"extremes-{images.replace(' ', '-')}",
    )


def variation_scatter(context: ReduceContext, generator: GeneratorInfo) -> list[Figure]:
    """Ln p over local variation, of every image [IP Fig. 7, right]."""
    scores = variation_scores(context, generator)
    if scores is None:
        return []
    return scatter_figures(
        context,
        points_by_group(context, scores.of_group, scores.first, scores.second),
        ("local variation: standard deviation / mean", "ln p(x) of the generator, nats"),
        "Log density of single images over their local variation; the correlations stand in the "
        "table below.",
        "Each dot is an image under its own class."
        if generator.num_classes
        else "Each dot is an image.",
        key="variation-scatter",
    )


def _variation_table(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Table | None:
    rows = []
    pooled = [] if context.inliers is None else [(context.inliers.name, WITH_OUTLIERS)]
    for group, against in [*[(group.name, None) for group in context.groups], *pooled]:
        variation = None
        if against is None:
            variation = summary.find("local_variation_mean", group=group) or summary.find(
                "local_variation_mean", generator=generator.name, group=group
            )
        for estimator in summary.estimators:
            found = [
                summary.under(estimator).find(
                    f"variation_correlation_{kind}",
                    generator=generator.name,
                    group=group,
                    against=against,
                    conditions=(OWN, MARGINAL),
                )
                for kind in ("pearson", "spearman")
            ]
            if found[0] is not None:
                cells = [MISSING if each is None else each.fixed(2) for each in found]
                head = [named(group, against), text(variation), estimator or MISSING]
                rows.append([*head, *cells, str(found[0].n)])
    if not rows:
        return None
    return Table(
        "Mean local variation, and its correlation with ln p under the own class"
        if generator.num_classes
        else "Mean local variation, and its correlation with ln p",
        ["group", "local variation", "estimator", "Pearson", "Spearman", "N"],
        rows,
        key="variation",
    )
