"""Single images as dots, a row a group."""

import numpy as np
from matplotlib.axes import Axes

from .dots import symlog_ticks
from .figure import INK, bare, guide, label
from .summary import number
from .view import View

# Outliers may move a hundred times as far as the data, so the axis turns logarithmic.
LINEAR_NATS = 1.0
AXIS_WORDS = f"The axis is linear up to {number(LINEAR_NATS, 1)} nat and logarithmic beyond."


Values = dict[str, np.ndarray]


def strips(axes: Axes, by_group: Values, colours: dict[str, str], width: float = 150) -> None:
    """Draws a dot an image, a row a group, with a bar at each group's mean.

    ``width`` is about that of the axes in points.
    """
    axes.set_xscale("symlog", linthresh=LINEAR_NATS)
    for row, (name, values) in enumerate(by_group.items()):
        if not len(values):
            continue
        spread = np.linspace(-0.16, 0.16, len(values)) if len(values) > 1 else np.zeros(1)
        axes.scatter(values, row + spread, s=9, color=colours[name], alpha=0.6, lw=0)
        axes.plot([values.mean()] * 2, [row - 0.3, row + 0.3], color=INK, lw=1.4)
    guide(axes, 0)
    axes.set_yticks(range(len(by_group)), [label(name) for name in by_group])
    axes.set_ylim(len(by_group) - 0.5, -0.5)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -LINEAR_NATS), max(high, LINEAR_NATS))
    symlog_ticks(axes, LINEAR_NATS, width)
    bare(axes)


def in_order(view: View, values: Values) -> Values:
    """The groups that have values, in the order of the spec."""
    return {group.name: values[group.name] for group in view.context.groups if group.name in values}


def means_in_words(by_group: Values) -> str:
    """Each group's mean, for the text that stands in for the figure."""
    return ", ".join(f"{name} {number(float(values.mean()))}" for name, values in by_group.items())
