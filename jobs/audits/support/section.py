"""The report's section on the support."""

import numpy as np

from ...reduce.tables import succeeded
from ...report.figure import Figure, mosaic
from ...report.section import PageView, Section, present
from ...report.table import (
    Cell,
    Column,
    N,
    Table,
    counts,
    estimates,
    filled_table,
    numbers,
    p_values,
)
from ...report.view import View
from .plan import GENERATED, JUDGED

_GROUPS = {GENERATED: "generated", JUDGED: "real"}


def support_section(view: PageView) -> Section:
    """The closest pairs of generated and of real images, and the effective support of both."""
    return Section(
        "support",
        "How many different images?",
        [
            "Near-duplicates among its images say how often a generator repeats itself (after "
            "Arora and Zhang 2018). How near duplicates are is calibrated on one set of real "
            "images, and another is judged beside the generator's. The effective support is the "
            "number of equally likely images among which two would be duplicates as often: rare "
            "images do not show in it."
        ],
        present(*(_pairs(view, group) for group in _GROUPS)),
        present(_table(view)),
    )


def _table(view: View) -> Table | None:
    rows: list[list[Cell]] = []
    for group, words in _GROUPS.items():
        pairs, size, p_value, batch, threshold = (
            view.find(metric, group)
            for metric in (
                "support_pairs",
                "support_size",
                "support_p_more",
                "support_batch",
                "support_threshold",
            )
        )
        if pairs is not None:
            count = None if batch is None else int(batch.value)
            rows.append([words, int(pairs.value), size, p_value, count, threshold, pairs.n])
    return filled_table(
        "Pairs of near-duplicates and the effective support; p-value of more duplicates than "
        "among real images (of real ones: than among those that calibrate); batch with a "
        "duplicate in half of all cases",
        [
            Column("images"),
            counts("pairs"),
            estimates("effective support"),
            p_values("p"),
            counts("batch"),
            numbers("near, l2"),
            N,
        ],
        rows,
        key="support",
    )


def _pairs(view: View, group: str) -> Figure | None:
    columns = ["closest_pixels", "beside_pixels"]
    frame = view.context.tables.read("support", columns)
    if frame is None:
        return None
    frame = succeeded(frame)
    mine = frame[frame["group"] == group]
    if group == GENERATED:
        mine = mine[mine["generator"] == view.generator.name]
    if not len(mine):
        return None
    shape = view.generator.image_shape
    images = [np.asarray(mine.iloc[0][name]).reshape(-1, *shape) for name in columns]
    words = _GROUPS[group]
    return mosaic(
        images,
        f"The closest pairs of {words} images, one image above the other.",
        f"The closest pairs among the {words} images, the closest at the left.",
        key=f"support-{words}",
    )
