"""Do the classes differ? ln p(x|a) against ln p(x|b), and all pairs' correlations."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure as Canvas

from ....reduce.context import GeneratorInfo, ReduceContext
from ....reduce.groups import GroupValues, group_values
from ....reduce.schema import EVERY_CLASS
from ....report.correlations import CORRELATION_COLUMNS, correlation_cells
from ....report.drawn import Drawn
from ....report.figure import INK, Figure, draw
from ....report.scatter import Points, scatter_figure
from ....report.section import Section, present
from ....report.summary import number
from ....report.table import (
    Column,
    Table,
    counts,
    filled_table,
    numbers,
    twins_side_by_side,
)
from ....report.view import View
from ....report.words import BOUND
from ...likelihood.densities import TRUSTED
from .reduce import correlated_classes

_SIDE = 4.2
# Numbers are written into the squares of a matrix of so many classes at the most.
_NUMBERED_CLASSES = 12


@dataclass(frozen=True)
class _Classes:
    """The group whose classes are shown, and the correlations of its densities."""

    values: GroupValues
    matrix: np.ndarray

    @property
    def median_pair(self) -> tuple[int, int]:
        """The two classes whose correlation is the median of all pairs' (the lower of two)."""
        rows, columns = np.triu_indices(len(self.matrix), 1)
        order = np.argsort(self.matrix[rows, columns], kind="stable")
        middle = order[(len(order) - 1) // 2]
        return int(rows[middle]), int(columns[middle])


def class_section(view: View) -> Section:
    """How far a class's density is that of every other class."""
    found = _shown(view.context, view.generator)
    figures = [] if found is None else [_matrix(found), _scatter(view, found)]
    return Section(
        "classes",
        "Do its classes differ?",
        [
            "The same images under each class. If the density depends on the class, their order "
            "changes from class to class; if all classes give an image the same density, "
            "correlations are near 1, and the class says little."
        ],
        figures,
        present(_table(view)),
    )


def _shown(context: ReduceContext, generator: GeneratorInfo) -> _Classes | None:
    """The group that outliers are held against if it has every class, else the first that has."""
    frame = context.tables.read(TRUSTED, ["log_likelihood"])
    if frame is None:
        return None
    groups = group_values(context, frame, "log_likelihood", generator)
    inliers = [] if context.inliers is None else [context.inliers.name]
    for name in dict.fromkeys([*inliers, *groups]):
        values = groups.get(name)
        found = None if values is None else correlated_classes(generator, values, "pearson")
        if values is not None and found is not None and not np.isnan(found.matrix).any():
            return _Classes(values, found.matrix)
    return None


def _matrix(found: _Classes) -> Figure:
    classes = len(found.matrix)
    pairs = found.matrix[np.triu_indices(classes, 1)]

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        low = min(0.0, float(pairs.min()))
        # Not an image, which would be a picture inside the drawing.
        axes.pcolormesh(found.matrix, cmap="viridis", vmin=low, vmax=1)
        axes.set_aspect("equal")
        axes.invert_yaxis()
        centres, names = np.arange(classes) + 0.5, found.values.classes.astype(str)
        if classes <= _NUMBERED_CLASSES:
            for (row, column), value in np.ndenumerate(found.matrix):
                ink = "#ffffff" if value < (1 + low) / 2 else INK
                axes.text(
                    column + 0.5,
                    row + 0.5,
                    number(float(value), decimals=2),
                    ha="center",
                    va="center",
                    fontsize=6.5,
                    color=ink,
                )
            axes.set_xticks(centres, names)
            axes.set_yticks(centres, names)
        axes.set_xlabel("class")
        axes.set_ylabel("class")

    classes_of = found.values.classes
    name, n = found.values.group.name, int(found.values.complete.sum())
    return draw(
        _SIDE,
        _SIDE,
        f"Matrix of correlations of ln p(x|a) with ln p(x|b) over {n} {name} images: from "
        f"{number(float(pairs.min()))} to {number(float(pairs.max()))}, mean "
        f"{number(float(pairs.mean()))}.",
        f"Pearson correlation of the densities under two classes, over the same {n} {name} "
        "images; brighter is higher.",
        paint,
        data=Drawn(
            [counts("class a"), counts("class b"), numbers("Pearson correlation")],
            [
                [int(classes_of[a]), int(classes_of[b]), float(value)]
                for (a, b), value in np.ndenumerate(found.matrix)
            ],
        ),
        key="class-matrix",
    )


def _scatter(view: View, found: _Classes) -> Figure:
    first, second = found.median_pair
    whole = found.values.by_class[found.values.complete]
    name = found.values.group.name
    points: Points = {name: (whole[:, first], whole[:, second])}
    correlation = number(float(found.matrix[first, second]))
    one, other = found.values.classes[[first, second]].tolist()
    return scatter_figure(
        view,
        points,
        (f"ln p(x | class {one}) at least, nats", f"ln p(x | class {other}) at least, nats"),
        f"Log density of {name} images under class {other} over that under class {one}; "
        f"correlation {correlation}.",
        f"Each dot is one of {len(whole)} {name} images of any class. Of all pairs of classes this "
        f"is the one whose correlation, {correlation}, is the median; {BOUND}.",
        key="class-scatter",
    )


def _table(view: View) -> Table | None:
    rows = [
        [group.name, each.estimator, *cells]
        for group in view.context.groups
        for each in view.by_estimator()
        if (cells := correlation_cells(each, "class_correlation", group.name, EVERY_CLASS))
    ]
    table = filled_table(
        f"Correlation of ln p(x|a) with ln p(x|b), mean over all pairs of classes; {BOUND}",
        [Column("group"), Column("estimator"), *CORRELATION_COLUMNS],
        rows,
        key="class-correlation",
    )
    return twins_side_by_side(table, "estimator")
