"""Two scores of single images as dots, coloured by group."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from .drawn import Drawn
from .figure import WIDTH, Figure, draw, label
from .histogram_rows import SMALL_PART
from .table import Column, numbers
from .view import View

_HEIGHT = 3.1
_MOST_DOTS = 300

Points = dict[str, tuple[np.ndarray, np.ndarray]]


def scatter_figure(
    view: View,
    points: Points,
    axes_labels: tuple[str, str],
    alt: str,
    caption: str,
    *,
    key: str,
) -> Figure:
    """A dot an image, x and y by group; of large groups evenly spaced images in order of id."""
    colours = view.colours
    shown = {name: _thinned(pair) for name, pair in points.items()}
    largest = max(len(x) for x, _ in points.values())
    if largest > _MOST_DOTS:
        caption += f" At most {_MOST_DOTS} images of a group are drawn."

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        for name, (x, y) in shown.items():
            axes.scatter(x, y, s=10, color=colours[name], alpha=0.6, lw=0, label=label(name))
        axes.set_xlabel(axes_labels[0])
        axes.set_ylabel(axes_labels[1])
        axes.locator_params(nbins=6)
        if len(shown) > 1:
            canvas.legend(
                loc="outside upper left", ncols=3, frameon=False, fontsize=8.5, handletextpad=0.2
            )

    data = Drawn(
        [Column("group"), *(numbers(each) for each in axes_labels)],
        [
            [name, float(x), float(y)]
            for name, pair in shown.items()
            for x, y in zip(*pair, strict=True)
        ],
    )
    return draw(WIDTH, _HEIGHT, alt, caption, paint, data=data, key=key)


def scatter_figures(
    view: View,
    points: Points,
    axes_labels: tuple[str, str],
    alt: str,
    caption: str,
    *,
    key: str,
) -> list[Figure]:
    """The dots of every group, and of the others again where outliers stretch an axis for them."""
    figures = [scatter_figure(view, points, axes_labels, alt, caption, key=key)]
    outliers = {group.name for group in view.context.with_role("outlier")}
    inner = {name: pair for name, pair in points.items() if name not in outliers}
    if inner and len(inner) < len(points) and _shrinks(points, inner):
        figures.append(
            scatter_figure(
                view,
                inner,
                axes_labels,
                f"{alt} Without the outlier groups.",
                "The same without the outlier groups.",
                key=f"{key}-without-outliers",
            )
        )
    return figures


def _shrinks(points: Points, inner: Points) -> bool:
    return any(
        np.ptp(np.concatenate([pair[axis] for pair in inner.values()]))
        < SMALL_PART * np.ptp(np.concatenate([pair[axis] for pair in points.values()]))
        for axis in (0, 1)
    )


def points_by_group(view: View, of_group: np.ndarray, x: np.ndarray, y: np.ndarray) -> Points:
    """Dots of each group that has any, in the order of the spec."""
    points = {}
    for group in view.context.groups:
        mine = of_group == group.name
        if mine.any():
            points[group.name] = (x[mine], y[mine])
    return points


def _thinned(pair: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    n = len(pair[0])
    if n <= _MOST_DOTS:
        return pair
    kept = np.arange(_MOST_DOTS) * n // _MOST_DOTS
    return pair[0][kept], pair[1][kept]
