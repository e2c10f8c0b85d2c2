"""The report's section on paths along the latent."""

import numpy as np

from ....workers.latent_paths import SHOWN_ALONG
from ...reduce.tables import succeeded
from ...report.figure import Figure, mosaic
from ...report.section import PageView, Section, present
from ...report.table import Cell, Column, N, Table, estimates, filled_table, numbers
from ...report.view import View
from ..copies.plan import GENERATED, HELD_OUT
from ..copies.reduce import TRAINING


def latent_paths_section(view: PageView) -> Section:
    """Steps and dwelling along paths, with held-out images as the control, and some paths."""
    return Section(
        "latent_paths",
        "Does it dwell at training images along its latent?",
        [
            "Paths go from one latent to another, so that each of their images is one as any "
            "other. A generator that has memorised training images stays near one of them and "
            "jumps to the next. Uneven steps alone prove nothing, since an honest generator may "
            "hurry between kinds of images; so it is asked whether it is slow where it is near "
            "training images, and as many held-out images are the control. Dwelling is (A - B) / "
            "(A + B) of the mean distance to the nearest image of a kind, B evenly over the "
            "latent and A evenly over the way that the image goes: 1 where it stands still on "
            "images of that kind, around 0 where its pace has nothing to do with them."
        ],
        present(_pictures(view)),
        present(_against(view), _steps(view)),
    )


def _against(view: View) -> Table | None:
    rows: list[list[Cell]] = []
    for against in (TRAINING, HELD_OUT):
        dwelling, switches = (
            view.find(metric, GENERATED, against=against)
            for metric in ("path_dwell", "path_switches")
        )
        if dwelling is not None and switches is not None:
            rows.append([against, dwelling, switches, dwelling.n])
    return filled_table(
        "Dwelling at images of a kind, and changes of the nearest of them, along paths; as many "
        "of either kind",
        [Column("images"), estimates("dwelling"), estimates("changes a path"), N],
        rows,
        key="latent-paths",
    )


def _steps(view: View) -> Table | None:
    found = {
        words: view.find(metric, GENERATED)
        for metric, words in (
            ("path_jump_share", "share of a path's length in jumps"),
            ("path_largest_step", "largest step, in mean steps"),
        )
    }
    excess, p_value = (
        view.find(metric, GENERATED) for metric in ("path_dwell_excess", "path_dwell_p")
    )
    rows: list[list[Cell]] = [
        [words, each, None, each.n] for words, each in found.items() if each is not None
    ]
    if excess is not None and p_value is not None:
        rows.append(["more dwelling at training images", excess, p_value, excess.n])
    return filled_table(
        "Steps along paths, and the exact test of exchanging training and held-out images",
        [Column("measure"), estimates("value"), numbers("p", 2), N],
        rows,
        key="latent-steps",
    )


def _pictures(view: View) -> Figure | None:
    frame = view.context.tables.read("latent_paths", ["step"])
    if frame is None:
        return None
    frame = succeeded(frame)
    mine = frame[(frame["group"] == GENERATED) & (frame["generator"] == view.generator.name)]
    stored = view.context.tables.read_images(
        "latent_paths", mine["image_id"].tolist(), ["pixels", "nearest_pixels"]
    )
    stored = stored[(stored["generator"] == view.generator.name) & stored["pixels"].notna()]
    if not len(stored):
        return None
    rows = [
        np.stack([np.asarray(value)]).reshape(SHOWN_ALONG, *view.generator.image_shape)
        for _, row in stored.sort_values("image_id").iterrows()
        for value in (row["pixels"], row["nearest_pixels"])
    ]
    return mosaic(
        rows,
        f"{len(stored)} paths along the latent, above the nearest training images.",
        "Each pair of rows is a path from one latent to another, and below each of its images the "
        "training image that is nearest in pixels.",
        key="latent-paths",
    )
