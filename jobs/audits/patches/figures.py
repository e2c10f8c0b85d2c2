"""Figures of both models' densities: dot by dot, group by group, and at their top."""

from matplotlib.figure import Figure as Canvas

from ....core.statistics.classification import mean
from ....core.statistics.overlap import top_indices, top_size
from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.distributions import Distributions, shared_densities
from ...report.drawn import Drawn, drawn_bins
from ...report.figure import WIDE, Figure, draw, mosaic
from ...report.histogram_rows import histogram_edges, histogram_rows
from ...report.pictures import originals
from ...report.scatter import points_by_group, scatter_figures
from ...report.summary import number
from ...report.table import Column
from ...report.view import View
from ...report.words import BOUND
from ..likelihood.figures import density_distributions, inner_window
from .reduce import patch_scores

_ROW_HEIGHT = 0.42


def patch_scatter(view: View) -> list[Figure]:
    """Ln p by the patch model over ln p by the generator, of every image [HU Fig. 3]."""
    scores = patch_scores(view.context, view.generator)
    if scores is None:
        return []
    return scatter_figures(
        view,
        points_by_group(view, scores.of_group, scores.first, scores.second),
        ("ln p(x) of the generator at least, nats", "ln p(x) of the patches, nats"),
        "Log density of single images under the model of small patches, over that of the "
        "generator; the table below has the correlations.",
        "Each dot is an image, under its own class in both models. Dots along one rising line "
        "would say that small patches account for the generator's density. Of the generator "
        f"{BOUND}.",
        key="patch-scatter",
    )


def patch_histograms(view: View) -> list[Figure]:
    """Histograms of ln p by group, the generator's at the left and the patch model's beside them.

    Where outliers stretch both axes, a second figure shows the other groups' own range.
    """
    models = {
        "generator": density_distributions(view.context, view.generator),
        "patches": patch_distributions(view.context, view.generator),
    }
    found = {name: each for name, each in models.items() if each is not None}
    if len(found) < len(models):
        return []
    figures = [_histograms(view, found, {}, "patch-histograms")]
    windows = {name: inner_window(view.context, each) for name, each in found.items()}
    narrow = {name: window for name, window in windows.items() if window is not None}
    if narrow:
        key = "patch-histograms-without-outliers"
        figures.append(_histograms(view, found, narrow, key))
    return figures


def _histograms(
    view: View,
    found: dict[str, Distributions],
    windows: dict[str, tuple[float, float]],
    key: str,
) -> Figure:
    def paint(canvas: Canvas) -> None:
        halves = canvas.subfigures(1, len(found), squeeze=False)[0]
        for half, (name, each) in zip(halves, found.items(), strict=True):
            window, named = windows.get(name), half is halves[0]
            histogram_rows(half, each.values, view.colours, mean, window, named=named)
            half.supxlabel(f"ln p(x) of the {name}, nats\n({each.condition} density)")

    means = "; ".join(
        f"{name}: "
        + ", ".join(f"{group} {number(float(v.mean()), 4)}" for group, v in each.values.items())
        for name, each in found.items()
    )
    bins = {
        name: drawn_bins(each.values, histogram_edges(each.values, windows.get(name)), "ln p, nats")
        for name, each in found.items()
    }
    part = " where the groups are that are not outliers" if windows else ""
    return draw(
        WIDE,
        1.0 + _ROW_HEIGHT * max(len(each.values) for each in found.values()),
        f"Histograms of log density by group in both models{part}. Means in nats, {means}.",
        "The same, where the groups are that are not outliers; images outside are counted."
        if windows
        else "The groups under the generator (left) and under the model of small patches (right); "
        "the line is the mean. The same order of the groups in both is what the paper found. Of "
        f"the generator {BOUND}.",
        paint,
        data=Drawn(
            [Column("model"), *bins[next(iter(bins))].columns],
            [[name, *row] for name, each in bins.items() for row in each.rows],
        ),
        key=key,
    )


def top_pictures(view: View) -> Figure | None:
    """The images that each model finds densest, among those that outliers are held against."""
    scores = patch_scores(view.context, view.generator)
    stored = view.context.tables.has("images")
    if scores is None or not stored or view.context.inliers is None:
        return None
    name = view.context.inliers.name
    mine = scores.only([name])
    if len(mine.first) < 2:
        return None
    size = top_size(len(mine.first))
    tops = [top_indices(density, size) for density in (mine.second, mine.first)]
    ids = [mine.image_id[top].tolist() for top in tops]
    shared = len(set(ids[0]) & set(ids[1]))
    shape = view.generator.image_shape
    return mosaic(
        [originals(view.context, chosen, shape) for chosen in ids],
        f"The {size} {name} images of highest density by the patch model, above "
        f"those by the generator; {shared} are in both rows.",
        f"The {size} {name} images of highest density, the densest at the left: "
        f"by the patch model above, by the generator below. {shared} are in both rows.",
        key="patch-top",
    )


def patch_distributions(context: ReduceContext, generator: GeneratorInfo) -> Distributions | None:
    """Ln p of the patch model by group, under the same condition as the generator's."""
    return shared_densities(context, generator, "patch_gmm", "log_density")
