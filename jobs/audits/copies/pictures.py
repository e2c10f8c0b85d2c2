"""The images that come nearest to training images, above these."""

import numpy as np

from ....workers.copies import SHOWN
from ...reduce.tables import succeeded
from ...report.figure import Figure, mosaic
from ...report.view import View
from .plan import GENERATED
from .reduce import least


def closest_pairs(view: View, group: str) -> Figure | None:
    """The images of least nearness of a group, each above its nearest training image."""
    frame = view.context.tables.read("copies", ["nearness"])
    if frame is None:
        return None
    frame = succeeded(frame)
    mine = frame[frame["group"] == group]
    if group == GENERATED:
        mine = mine[mine["generator"] == view.generator.name]
    if not len(mine):
        return None
    nearness = least(mine["nearness"])
    order = np.argsort(nearness, kind="stable")[:SHOWN]
    ids = mine["image_id"].iloc[order].tolist()
    stored = view.context.tables.read_images("copies", ids, ["pixels", "nearest_pixels"])
    if group == GENERATED:
        stored = stored[stored["generator"] == view.generator.name]
    by_id = stored.set_index("image_id")
    rows = [
        np.stack([by_id.loc[image_id, column] for image_id in ids]).reshape(
            -1, *view.generator.image_shape
        )
        for column in ("pixels", "nearest_pixels")
    ]
    listed = ", ".join(f"{value:.2f}" for value in nearness[order])
    return mosaic(
        rows,
        f"The {len(ids)} {group} images nearest to training images, above their nearest ones.",
        f"The {group} images that come nearest to a training image, the nearest at the left, each "
        f"above the training image that it is nearest to in any view. Nearness: {listed}.",
        key=f"copies-{group}",
    )
