"""Compressed sensing as pictures: PSNR against measurements, and images that were restored."""

from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from ...reduce.schema import OWN
from ...report.drawn import Drawn
from ...report.figure import WIDTH, Figure, draw, log_ticks, mosaic, panel_title
from ...report.pictures import SHOWN, group_title, if_drawn, originals, quantile_positions
from ...report.section import PageView, present
from ...report.summary import Estimate, number
from ...report.table import Column, counts, estimates
from ...report.view import View
from ...spec.audit import Role
from .reduce import SensedGroup, sensed_groups

_DRAWN: tuple[Role, ...] = ("train", "test", "generated")
_PICTURED: tuple[Role, ...] = ("train", "generated")
_BASELINE_COLOUR = "#5b616b"

ByGroup = dict[str, list[SensedGroup]]


def sensing_curve(view: View) -> Figure | None:
    """Mean PSNR by number of measurements with intervals, a panel a group; pPCA is dashed."""
    by_group = _by_group(view, _DRAWN)
    if not by_group:
        return None

    def paint(canvas: Canvas) -> None:
        panels = canvas.subplots(1, len(by_group), sharey=True, squeeze=False)[0]
        for axes, (name, sensed) in zip(panels, by_group.items(), strict=True):
            for metric, style, colour in (
                ("ppca_psnr_mean", (0, (4, 2)), _BASELINE_COLOUR),
                ("psnr_mean", "-", view.colours[name]),
            ):
                _line(axes, sensed, _estimates(view, sensed, metric), colour, style)
            panel_title(axes, name)
            log_ticks(axes, [each.measurements for each in sensed])
        panels[0].set_ylabel("PSNR, dB")
        canvas.supxlabel("measurements m")

    return draw(
        WIDTH,
        2.2,
        "PSNR of restored images by number of measurements. " + _words(view, by_group),
        "Mean PSNR of images restored from m random measurements: by the generator (solid), by "
        "probabilistic PCA from the same measurements (dashed). Bands are 95% intervals "
        "over images; the table has every group.",
        paint,
        data=Drawn(
            [
                Column("group"),
                counts("m"),
                estimates("PSNR, dB"),
                estimates("PSNR of pPCA, dB"),
            ],
            [
                [name, each.measurements, own, gaussian]
                for name, sensed in by_group.items()
                for each, own, gaussian in zip(
                    sensed,
                    _estimates(view, sensed, "psnr_mean"),
                    _estimates(view, sensed, "ppca_psnr_mean"),
                    strict=True,
                )
            ],
        ),
        key="curve",
    )


def restored_pictures(view: PageView) -> list[Figure]:
    """Training and generated images above their restorations, more measurements lower down."""
    if not view.context.tables.has("images"):
        return []
    by_group = _by_group(view, _PICTURED, "latent").values()
    return present(*(if_drawn(partial(_picture, view, sensed)) for sensed in by_group))


def _by_group(view: View, roles: tuple[Role, ...], *columns: str) -> ByGroup:
    """The first group of each role, at every number of measurements."""
    first = [group.name for role in roles for group in view.context.with_role(role)[:1]]
    found: ByGroup = {}
    for sensed in sensed_groups(view.context, view.generator, *columns):
        if sensed.group.name in first:
            found.setdefault(sensed.group.name, []).append(sensed)
    return found


def _estimates(view: View, sensed: list[SensedGroup], metric: str) -> list[Estimate]:
    found = [
        view.find(f"sensing_{metric}", each.group.name, OWN, None, against=each.against)
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


def _words(view: View, by_group: ByGroup) -> str:
    sentences = []
    for name, sensed in by_group.items():
        own, gaussian = (
            _estimates(view, sensed, metric) for metric in ("psnr_mean", "ppca_psnr_mean")
        )
        points = [
            f"{number(a.value)} dB against pPCA's {number(b.value)} at m = {each.measurements}"
            for each, a, b in zip(sensed, own, gaussian, strict=True)
        ]
        sentences.append(f"{name}: {', '.join(points)}.")
    return " ".join(sentences)


def _picture(view: PageView, sensed: list[SensedGroup]) -> Figure | None:
    generator = view.generator
    by_image = [each.rows.set_index("image_id") for each in sensed]
    # An image whose restoration failed at one number of measurements is not shown at any.
    whole = by_image[-1].loc[
        [name for name in by_image[-1].index if all(name in rows.index for rows in by_image)]
    ]
    if whole.empty:
        return None
    ordered = whole.sort_values("mse", kind="stable").index.to_numpy(str)
    chosen = ordered[quantile_positions(len(ordered), SHOWN)].tolist()
    rows = [originals(view.context, chosen, generator.image_shape)]
    for restored in by_image:
        latents = np.array(restored.loc[chosen, "latent"].to_list(), np.float32)
        condition = restored.loc[chosen, "condition"].to_numpy().astype(np.int64)
        labels = condition if generator.num_classes else None
        rows.append(np.asarray(view.render(generator.name, latents, labels)))
    group = sensed[0].group
    numbers = ", ".join(str(each.measurements) for each in sensed)
    return mosaic(
        rows,
        f"{len(chosen)} {group.name} images above what the generator makes of {numbers} "
        "measurements of each, one row per number.",
        f"{group_title(group)}: originals on top; below, restored from m = {numbers} measurements; "
        f"at even quantiles of the error at m = {sensed[-1].measurements}.",
        key=f"restored-{group.name}",
    )
