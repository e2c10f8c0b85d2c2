"""Compressed sensing as pictures: PSNR against measurements, and images that were restored."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from ..reduce.context import GeneratorInfo, ReduceContext
from ..reduce.schema import OWN
from ..reduce.sensing import SensedGroup, sensed_groups
from ..reduce.tables import stage_dataset
from .figure import Figure, draw, group_colours, label, mosaic
from .pictures import SHOWN, Render, group_title, originals, quantile_positions
from .summary import Estimate, Summary, number

_WIDTH = 5.4
_DRAWN = ("train", "test", "generated")
_PICTURED = ("train", "generated")

ByGroup = dict[str, list[SensedGroup]]


def sensing_curve(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo
) -> Figure | None:
    """Mean PSNR by number of measurements with intervals; pPCA dashed in the group's colour."""
    by_group = _by_group(context, generator, _DRAWN)
    if not by_group:
        return None
    colours = group_colours(list(context.groups))

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        for name, sensed in by_group.items():
            for metric, style in (("psnr_mean", "-"), ("ppca_psnr_mean", (0, (4, 2)))):
                found = _estimates(summary, generator, sensed, metric)
                _line(axes, sensed, found, colours[name], style)
        _finish(axes, by_group, colours)

    return draw(
        _WIDTH,
        3.4,
        "PSNR of restored images by number of measurements. "
        + _words(summary, generator, by_group),
        "Mean PSNR of images restored from m random measurements: by the generator (solid), by "
        "probabilistic PCA from the same measurements (dashed). Bands are 95% bootstrap intervals "
        "over images.",
        paint,
        key="curve",
    )


def restored_pictures(
    context: ReduceContext, generator: GeneratorInfo, render: Render
) -> list[Figure]:
    """Training and generated images above their restorations, more measurements lower down."""
    if stage_dataset(context.run_dir, "images") is None:
        return []
    return [
        _picture(context, generator, sensed, render)
        for sensed in _by_group(context, generator, _PICTURED, "latent").values()
    ]


def _by_group(
    context: ReduceContext, generator: GeneratorInfo, roles: tuple[str, ...], *columns: str
) -> ByGroup:
    found: ByGroup = {}
    for sensed in sensed_groups(context, generator, *columns):
        if sensed.group.role in roles:
            found.setdefault(sensed.group.name, []).append(sensed)
    return found


def _estimates(
    summary: Summary, generator: GeneratorInfo, sensed: list[SensedGroup], metric: str
) -> list[Estimate]:
    found = [
        summary.find(
            f"sensing_{metric}",
            generator=generator.name,
            group=each.group.name,
            against=each.against,
            conditions=(OWN, None),
        )
        for each in sensed
    ]
    assert all(found), "the reducer writes both PSNRs of every group that has rows"
    return [each for each in found if each is not None]


def _line(
    axes: Axes, sensed: list[SensedGroup], found: list[Estimate], colour: str, style: object
) -> None:
    at = [each.measurements for each in sensed]
    values = [each.value for each in found]
    axes.plot(at, values, color=colour, lw=1.6, marker="o", ms=3.5, ls=style)
    axes.fill_between(
        at,
        [each.low for each in found],
        [each.high for each in found],
        color=colour,
        alpha=0.15,
        lw=0,
    )


def _finish(axes: Axes, by_group: ByGroup, colours: dict[str, str]) -> None:
    ticks = sorted({each.measurements for sensed in by_group.values() for each in sensed})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("measurements m")
    axes.set_ylabel("PSNR, dB")
    handles = [Line2D([], [], color=colours[name], label=label(name)) for name in by_group]
    dashed = Line2D([], [], color="#5b616b", ls=(0, (4, 2)), label="pPCA")
    axes.legend(handles=[*handles, dashed], frameon=False, fontsize=9)


def _words(summary: Summary, generator: GeneratorInfo, by_group: ByGroup) -> str:
    sentences = []
    for name, sensed in by_group.items():
        own, gaussian = (
            _estimates(summary, generator, sensed, metric)
            for metric in ("psnr_mean", "ppca_psnr_mean")
        )
        points = [
            f"{number(a.value)} dB against pPCA's {number(b.value)} at m = {each.measurements}"
            for each, a, b in zip(sensed, own, gaussian, strict=True)
        ]
        sentences.append(f"{name}: {', '.join(points)}.")
    return " ".join(sentences)


def _picture(
    context: ReduceContext, generator: GeneratorInfo, sensed: list[SensedGroup], render: Render
) -> Figure:
    group, most = sensed[-1].group, sensed[-1]
    ordered = most.rows.sort_values("mse", kind="stable")
    chosen = ordered["image_id"].to_numpy(str)[quantile_positions(len(ordered), SHOWN)]
    columns = [each.rows.set_index("image_id") for each in sensed]
    # An image whose restoration failed at another m has no picture there.
    chosen = np.array([name for name in chosen if all(name in rows.index for rows in columns)])
    rows = [originals(context, chosen.tolist(), generator.image_shape)]
    for restored in columns:
        latents = np.stack(restored.loc[chosen, "latent"].to_list()).astype(np.float32)
        condition = restored.loc[chosen, "condition"].to_numpy().astype(np.int64)
        labels = condition if generator.num_classes else None
        rows.append(np.asarray(render(generator.name, latents, labels)))
    numbers = ", ".join(str(each.measurements) for each in sensed)
    return mosaic(
        rows,
        f"{len(chosen)} {group.name} images above what the generator makes of {numbers} "
        "measurements of each, a row a number.",
        f"{group_title(group)}: originals on top; below, restored from m = {numbers} measurements; "
        f"at even quantiles of the error at m = {most.measurements}.",
        key=f"restored-{group.name}",
    )
