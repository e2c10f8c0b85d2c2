"""Originals and their reconstructions, side by side, chosen by quantile and not by eye."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from ....core.statistics.classification import classify
from ...reduce.groups import GroupValues, group_values
from ...report.drawn import Drawn
from ...report.figure import Figure, mosaic
from ...report.pictures import SHOWN, group_title, if_drawn, originals, quantile_positions
from ...report.section import PageView, present
from ...report.summary import number
from ...report.table import Column, counts, numbers
from ...report.view import View
from ..likelihood.densities import TRUSTED

# Errors are shown in 10^-3, or where the median of a row of pictures is less in 10^-6 or 10^-9.
_UNITS = (3, 6, 9)
_SUPERSCRIPTS = str.maketrans("69", "\N{SUPERSCRIPT SIX}\N{SUPERSCRIPT NINE}")


def reconstruction_pictures(view: PageView) -> list[Figure]:
    """One mosaic a group: originals above, reconstructions under the own class below."""
    context = view.context
    frame = context.tables.read("inversion", ["mse"])
    if frame is None or not context.tables.has("images"):
        return []
    densities = _densities(view)
    figures = []
    for values in group_values(context, frame, "mse", view.generator).values():
        errors = values.own
        succeeded = np.flatnonzero(~np.isnan(errors))
        if len(succeeded):
            ordered = succeeded[np.argsort(errors[succeeded], kind="stable")]
            chosen = ordered[quantile_positions(len(ordered), SHOWN)]
            density = densities.get(values.group.name)
            picture = if_drawn(partial(_picture, view, values, chosen, density))
            figures += present(picture)
    return figures


def _picture(
    view: PageView, values: GroupValues, chosen: np.ndarray, densities: GroupValues | None
) -> Figure:
    errors = values.own[chosen]
    span = f"{number(float(errors.min()))} to {number(float(errors.max()))}"
    return mosaic(
        pictured(view, values, chosen),
        f"{len(chosen)} {values.group.name} images above their reconstructions, from the smallest "
        f"error to the largest; mean squared errors from {span}.",
        f"{group_title(values.group)}: originals above, reconstructions below; at even quantiles "
        f"of the error, {span}.",
        key=values.group.name,
        data=picture_numbers(values, chosen, densities),
    )


def pictured(view: PageView, values: GroupValues, chosen: np.ndarray) -> list[np.ndarray]:
    """The images at the places ``chosen``, and their reconstructions under their own class.

    Raises:
        RunTableError: an image of which the run has no pixels.
    """
    generator = view.generator
    image_ids = values.image_id[chosen].tolist()
    classes = values.own_number[chosen]
    pixels = originals(view.context, image_ids, generator.image_shape)
    latents = _latents(view, image_ids, classes)
    condition = classes.astype(np.int64) if generator.num_classes else None
    return [pixels, np.asarray(view.render(generator.name, latents, condition))]


def _densities(view: View) -> dict[str, GroupValues]:
    """Ln p by group, of the estimator that verdicts rest on; nothing where there is none."""
    frame = view.context.tables.read(TRUSTED, ["log_likelihood"])
    if frame is None:
        return {}
    return group_values(view.context, frame, "log_likelihood", view.generator)


def picture_numbers(
    values: GroupValues, chosen: np.ndarray, densities: GroupValues | None = None
) -> Drawn:
    """Each image's class and error, its ln p under that class, and its likeliest class."""
    rows: list[tuple[str, int | None, float, float | None, int | None]] = []
    for index in chosen:
        image_id = str(values.image_id[index])
        own = int(values.own_number[index]) if values.conditional else None
        found = _density(densities, image_id)
        rows.append((image_id, own, float(values.own[index]), *found))
    columns = [
        Column("image"),
        counts("class"),
        _error_column([row[2] for row in rows]),
        numbers("ln p at least", decimals=0),
        counts("likeliest class"),
    ]
    kept = [at for at in range(len(columns)) if any(row[at] is not None for row in rows)]
    return Drawn([columns[at] for at in kept], [[row[at] for at in kept] for row in rows])


def _error_column(errors: Sequence[float]) -> Column:
    """Errors in a unit in which they are short: under the pictures there is room for few digits."""
    median = float(np.median(errors))
    unit = _UNITS[0]
    if median > 0:
        unit = next((each for each in _UNITS if median * 10**each >= 1), _UNITS[-1])
    name = "1000" if unit == 3 else f"10{str(unit).translate(_SUPERSCRIPTS)}"
    return numbers(f"{name} MSE", 2, scale=10**unit)


def _density(densities: GroupValues | None, image_id: str) -> tuple[float | None, int | None]:
    """An image's ln p under its own class, and the class under which it is highest."""
    if densities is None or image_id not in densities.image_id:
        return None, None
    at = int(np.flatnonzero(densities.image_id == image_id)[0])
    value = float(densities.own[at])
    likeliest = None
    if densities.conditional and densities.has_every_class and densities.complete[at]:
        likeliest = int(densities.classes[classify(densities.by_class[at : at + 1]).predicted[0]])
    return None if np.isnan(value) else value, likeliest


def _latents(view: View, image_ids: list[str], classes: np.ndarray) -> np.ndarray:
    generator = view.generator
    rows = view.context.tables.read_images("inversion", image_ids, ["latent"])
    mine = rows[rows["generator"] == generator.name]
    keyed = zip(mine["image_id"], mine["condition"], strict=True)
    found = dict(zip(keyed, mine["latent"], strict=True))
    keys = zip(image_ids, classes.tolist(), strict=True)
    return np.array([found[key] for key in keys], dtype=np.float32)
