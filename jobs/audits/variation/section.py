"""What makes an image dense? Its local variation, and the densest and least dense as pictures."""

import numpy as np

from ...reduce.groups import group_values
from ...reduce.image_scores import named
from ...reduce.schema import MARGINAL, OWN, WITH_OUTLIERS
from ...report.correlations import CORRELATION_COLUMNS, correlation_cells
from ...report.figure import Figure, mosaic
from ...report.pictures import SHOWN, originals
from ...report.scatter import points_by_group, scatter_figures
from ...report.section import Section, present
from ...report.summary import number
from ...report.table import Cell, Column, Table, estimates, filled_table, twins_side_by_side
from ...report.view import View
from ...report.words import BOUND
from ..likelihood.densities import TRUSTED
from .reduce import variation_scores


def variation_section(view: View) -> Section:
    """The images at both ends of the density, and how the density follows local variation."""
    scatter = variation_scatter(view)
    words = [
        "Friedman and Weiss found that GANs prefer images with large flat areas and low contrast. "
        "Below are the images at both ends of the density, each under its own class."
        if view.generator.num_classes
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
        [*extreme_pictures(view), *scatter],
        present(_variation_table(view)),
    )


def extreme_pictures(view: View) -> list[Figure]:
    """The densest images above the least dense: those outliers are held against, then with them."""
    context = view.context
    frame = context.tables.read(TRUSTED, ["log_likelihood"])
    if frame is None or context.inliers is None or not context.tables.has("images"):
        return []
    groups = group_values(context, frame, "log_likelihood", view.generator)
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
        figures += present(_extremes(view, ids[known], density[known], words))
    return figures


def _extremes(view: View, image_id: np.ndarray, density: np.ndarray, images: str) -> Figure | None:
    shown = min(SHOWN, len(density) // 2)
    if not shown:
        return None
    order = np.argsort(-density, kind="stable")
    ends = order[:shown], order[-shown:]
    spans = [
        f"{number(float(density[end[0]]), 4)} to {number(float(density[end[-1]]), 4)} nats"
        for end in ends
    ]
    shape = view.generator.image_shape
    return mosaic(
        [originals(view.context, image_id[end].tolist(), shape) for end in ends],
        f"The {shown} {images} images of highest log density, {spans[0]}, above the {shown} of "
        f"lowest, {spans[1]}.",
        f"{images}: the {shown} of {len(density)} images of highest ln p above ({spans[0]}), the "
        f"{shown} of lowest below ({spans[1]}); density falls from left to right.",
        key=f"extremes-{images.replace(' ', '-')}",
    )


def variation_scatter(view: View) -> list[Figure]:
    """Ln p over local variation, of every image [IP Fig. 7, right]."""
    scores = variation_scores(view.context, view.generator)
    if scores is None:
        return []
    return scatter_figures(
        view,
        points_by_group(view, scores.of_group, scores.first, scores.second),
        ("local variation: standard deviation / mean", "ln p(x) at least, nats"),
        "Log density of single images over their local variation; the table below has the "
        "correlations.",
        (
            "Each dot is an image under its own class; "
            if view.generator.num_classes
            else "Each dot is an image; "
        )
        + f"{BOUND}.",
        key="variation-scatter",
    )


def _variation_table(view: View) -> Table | None:
    inliers = view.context.inliers
    pooled = [] if inliers is None else [(inliers.name, WITH_OUTLIERS)]
    rows: list[list[Cell]] = []
    for group, against in [*[(group.name, None) for group in view.context.groups], *pooled]:
        variation, metric = None, "local_variation_mean"
        if against is None:
            variation = view.summary.find(metric, group=group) or view.find(metric, group)
        for each in view.by_estimator():
            cells = correlation_cells(
                each, "variation_correlation", group, OWN, MARGINAL, against=against
            )
            if cells:
                rows.append([named(group, against), variation, each.estimator, *cells])
    under = " under the own class" if view.generator.num_classes else ""
    table = filled_table(
        f"Mean local variation, and its correlation with ln p{under}; {BOUND}",
        [
            Column("group"),
            estimates("local variation"),
            Column("estimator"),
            *CORRELATION_COLUMNS,
        ],
        rows,
        key="variation",
    )
    return twins_side_by_side(table, "estimator")
