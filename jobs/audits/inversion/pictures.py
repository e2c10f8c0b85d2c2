"""Originals and their reconstructions, side by side, chosen by quantile and not by eye."""

import numpy as np

from ...reduce.groups import GroupValues, group_values
from ...report.figure import Figure, mosaic
from ...report.pictures import SHOWN, group_title, originals, quantile_positions
from ...report.section import PageView
from ...report.summary import number
from ...report.view import View


def reconstruction_pictures(view: PageView) -> list[Figure]:
    """One mosaic a group: originals above, reconstructions under the own class below."""
    context = view.context
    frame = context.tables.read("inversion", ["mse"])
    if frame is None or not context.tables.has("images"):
        return []
    figures = []
    for values in group_values(context, frame, "mse", view.generator).values():
        errors = values.own
        succeeded = np.flatnonzero(~np.isnan(errors))
        if len(succeeded):
            ordered = succeeded[np.argsort(errors[succeeded], kind="stable")]
            chosen = ordered[quantile_positions(len(ordered), SHOWN)]
            figures.append(_picture(view, values, chosen))
    return figures


def _picture(view: PageView, values: GroupValues, chosen: np.ndarray) -> Figure:
    generator = view.generator
    image_ids = values.image_id[chosen].tolist()
    classes = values.own_number[chosen]
    pixels = originals(view.context, image_ids, generator.image_shape)
    latents = _latents(view, image_ids, classes)
    condition = classes.astype(np.int64) if generator.num_classes else None
    rendered = np.asarray(view.render(generator.name, latents, condition))
    errors = values.own[chosen]
    span = f"{number(float(errors.min()))} to {number(float(errors.max()))}"
    return mosaic(
        [pixels, rendered],
        f"{len(chosen)} {values.group.name} images above their reconstructions, from the smallest "
        f"error to the largest; mean squared errors from {span}.",
        f"{group_title(values.group)}: originals above, reconstructions below; at even quantiles "
        f"of the error, {span}.",
        key=values.group.name,
    )


def _latents(view: View, image_ids: list[str], classes: np.ndarray) -> np.ndarray:
    generator = view.generator
    rows = view.context.tables.read_images("inversion", image_ids, ["latent"])
    mine = rows[rows["generator"] == generator.name]
    keyed = zip(mine["image_id"], mine["condition"], strict=True)
    found = dict(zip(keyed, mine["latent"], strict=True))
    keys = zip(image_ids, classes.tolist(), strict=True)
    return np.array([found[key] for key in keys], dtype=np.float32)
