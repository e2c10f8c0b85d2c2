"""Figures as data: matplotlib drawings and pixel mosaics, with their alternative text."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import NullLocator
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..reduce.context import GroupInfo
from .drawn import Drawn
from .table import Table

# What is drawn over the groups' colours, and the lines that they are held against.
INK = "#22262c"
GUIDE = "#8a8f98"

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "figure.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GUIDE,
    "axes.labelcolor": "#333840",
    "xtick.color": "#5b616b",
    "ytick.color": "#333840",
    "text.color": INK,
    "svg.fonttype": "path",
    "svg.hashsalt": "offmanifold",
}
# Distinguishable with colour-deficient sight (Okabe and Ito 2008).
_ROLE_COLOURS = {
    "train": "#0072b2",
    "test": "#56b4e9",
    "generated": "#009e73",
    "simulated": "#7a828c",
    "null": "#332288",
}
_LONGEST_LABEL = 22
# Inches: most figures stand side by side, three in a row of the page.
WIDTH = 4.2
# Those of many panels, which stand beside a table.
WIDE = 5.4
_OUTLIER_COLOURS = ("#d55e00", "#cc79a7", "#e69f00", "#8c564b")
SVG = "image/svg+xml"
PNG = "image/png"
# An SVG's units are points.
_DOTS_PER_INCH = {"svg": 72, "png": 260}
# What measures texts and draws them.
_BACKENDS = {"svg": FigureCanvasSVG, "png": FigureCanvasAgg}


@dataclass(frozen=True)
class Figure:
    """A picture's bytes, what it shows (``alt``), and what to read in it (``caption``).

    ``key`` names it among the figures of its section, the same in every run: files are called by
    it. ``rasterise`` gives it as PNG. A wide one needs more than a column of
    the page. ``data`` are the numbers drawn; of a mosaic's columns of
    pictures, a row each, where they have any.
    """

    key: str
    content: bytes
    media_type: str
    alt: str
    caption: str
    rasterise: Callable[[], bytes]
    pixelated: bool = False
    is_wide: bool = False
    data: Table | None = None

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.content).decode()}"


def draw(
    width: float,
    height: float,
    alt: str,
    caption: str,
    paint: Callable[[Canvas], None],
    *,
    data: Drawn,
    key: str,
) -> Figure:
    """An SVG of ``width`` x ``height`` inches that ``paint`` fills; the same bytes every time.

    Title and description in the file are ``alt`` and ``caption``.
    """
    described = {"Title": alt, "Description": caption}

    def render(kind: str, silenced: dict[str, None]) -> bytes:
        with mpl.rc_context(_STYLE):
            canvas = Canvas(figsize=(width, height), layout="constrained", dpi=_DOTS_PER_INCH[kind])
            _BACKENDS[kind](canvas)
            paint(canvas)
            _lay_out(canvas)
            content = io.BytesIO()
            canvas.savefig(content, format=kind, metadata=described | silenced, dpi="figure")
        return content.getvalue()

    return Figure(
        key,
        render("svg", {"Date": None, "Creator": None}),
        SVG,
        alt,
        caption,
        rasterise=lambda: render("png", {"Software": None}),
        is_wide=width > WIDTH,
        data=Table(caption, data.columns, data.rows, key=key),
    )


def _lay_out(canvas: Canvas) -> None:
    """Places the axes for good: `savefig` would draw the whole figure once more, only for that."""
    engine = canvas.get_layout_engine()
    assert engine is not None
    engine.execute(canvas)
    canvas.set_layout_engine("none")


def mosaic(
    rows: list[np.ndarray], alt: str, caption: str, *, key: str, data: Drawn | None = None
) -> Figure:
    """Rows of images [n, C, H, W] in [0, 1], one above the other, one file pixel per pixel.

    Title and description in the file are ``alt`` and ``caption``. ``data`` has a row for each of
    the n columns.
    """
    gap = 1
    strips = []
    for images in rows:
        tiles = [np.pad(_as_rgb(image), ((0, 0), (0, gap), (0, 0))) for image in images]
        strip = np.concatenate(tiles, axis=1)[:, :-gap]
        strips.append(np.pad(strip, ((0, gap), (0, 0), (0, 0)), constant_values=255))
    whole = np.concatenate(strips, axis=0)[:-gap]
    _whiten_gaps(whole, rows[0].shape[-1], gap)
    buffer = io.BytesIO()
    described = PngInfo()
    described.add_itxt("Title", alt)
    described.add_itxt("Description", caption)
    Image.fromarray(whole).save(buffer, format="PNG", optimize=True, pnginfo=described)
    content = buffer.getvalue()
    return Figure(
        key,
        content,
        PNG,
        alt,
        caption,
        rasterise=lambda: content,
        pixelated=True,
        data=None if data is None else Table(caption, data.columns, data.rows, key=key),
    )


def group_colours(groups: Sequence[GroupInfo]) -> dict[str, str]:
    """A colour for each group, by role; outlier groups take theirs in turn."""
    outliers = [group.name for group in groups if group.role == "outlier"]
    turn = {name: _OUTLIER_COLOURS[i % len(_OUTLIER_COLOURS)] for i, name in enumerate(outliers)}
    return {group.name: turn.get(group.name, _ROLE_COLOURS.get(group.role, "")) for group in groups}


def guide(axes: Axes, at: float, zorder: float = 2) -> None:
    """A dashed vertical line at what the rest is held against."""
    axes.axvline(at, color=GUIDE, lw=1, ls=(0, (4, 3)), zorder=zorder)


def panel_title(axes: Axes, name: str) -> None:
    """The name of one of several panels."""
    axes.set_title(label(name), loc="left", fontsize=10)


def log_ticks(axes: Axes, ticks: Sequence[int]) -> None:
    """Makes the horizontal axis logarithmic, with these ticks alone."""
    axes.set_xscale("log")
    axes.set_xticks(ticks, [str(tick) for tick in ticks], fontsize=8)
    axes.xaxis.set_minor_locator(NullLocator())


def bare(axes: Axes) -> None:
    """Leaves only the horizontal axis."""
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)


def label(name: str) -> str:
    """A name as an axis label: short, and without the dollar signs of matplotlib's mathematics."""
    short = name if len(name) <= _LONGEST_LABEL else name[: _LONGEST_LABEL - 1] + "…"
    return short.replace("$", r"\$")


def _as_rgb(image: np.ndarray) -> np.ndarray:
    channels = image.shape[0]
    visible = image if channels == 3 else np.repeat(image.mean(axis=0, keepdims=True), 3, axis=0)
    scaled: np.ndarray = (np.clip(visible, 0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)
    return scaled


def _whiten_gaps(whole: np.ndarray, width: int, gap: int) -> None:
    for start in range(width, whole.shape[1], width + gap):
        whole[:, start : start + gap] = 255
