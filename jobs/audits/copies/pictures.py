"""The images that come nearest to training images, above these."""

import numpy as np
import pandas as pd

from ....workers.copies import SHOWN
from ...reduce.tables import succeeded
from ...report.figure import Figure, mosaic
from ...report.view import View
from .plan import GENERATED
from .reduce import least


def closest_pairs(view: View, group: str, space: str | None = None) -> Figure | None:
    """The images of least nearness of a group, each above its nearest training image.

    In a feature space, or by default in the view of pixels in which it is nearest.
    """
    table = "copies" if space is None else "feature_copies"
    frame = view.context.tables.read(table, ["nearness"])
    if frame is None:
        return None
    frame = _of(succeeded(frame), view, group, space)
    if not len(frame):
        return None
    nearness = least(frame["nearness"]) if space is None else frame["nearness"].to_numpy()
    order = np.argsort(nearness, kind="stable")[:SHOWN]
    ids = frame["image_id"].iloc[order].tolist()
    columns = ["pixels", "nearest_pixels"]
    stored = _of(view.context.tables.read_images(table, ids, columns), view, group, space)
    by_id = stored.set_index("image_id")
    rows = [
        np.stack([by_id.loc[image_id, column] for image_id in ids]).reshape(
            -1, *view.generator.image_shape
        )
        for column in columns
    ]
    listed = ", ".join(f"{value:.2f}" for value in nearness[order])
    seen = "any view" if space is None else f"features of {space}"
    words = "" if space is None else f" in {seen}"
    return mosaic(
        rows,
        f"The {len(ids)} {group} images nearest to training images{words}, above their nearest "
        "ones.",
        f"The {group} images that come nearest to a training image, the nearest at the left, each "
        f"above the training image that it is nearest to in {seen}. Nearness: {listed}.",
        key=f"copies-{group}" if space is None else f"copies-{space}-{group}",
    )


def _of(frame: pd.DataFrame, view: View, group: str, space: str | None) -> pd.DataFrame:
    mine = frame["group"] == group
    if group == GENERATED:
        mine &= frame["generator"] == view.generator.name
    if space is not None:
        mine &= frame["space"] == space
    return frame[mine]
