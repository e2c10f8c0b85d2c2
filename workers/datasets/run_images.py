"""The images of a group of another run, out of its Parquet."""

from pathlib import Path
from typing import Any

import numpy as np

from ..part_file import PartError, parse_part
from ..schema import STATUS_OK
from ..stored_images import IMAGES_TABLE
from .image_set import ArrayImageSet, DatasetError, Shape, require_shape

_COLUMNS = ("group", "status", "label", "image_id", "channels", "height", "width", "pixels")


def open_run(split: str, path: Path | None, image_shape: Shape | None, seed: int) -> ArrayImageSet:
    """The images of the group ``split`` of the run directory ``path``, in the order of their ids.

    Images that failed there are left out. A group in which some have labels and some have none
    is taken as unlabelled.
    """
    del seed
    if path is None:
        raise DatasetError("image set 'run' needs a path: the run directory")
    parts = sorted(path.glob("images/part-*.parquet"))
    if not parts:
        raise DatasetError(f"{path} has no images/part-*.parquet: name a run directory")
    rows: list[dict[str, Any]] = []
    groups = set()
    for part in parts:
        try:
            table = parse_part(part.read_bytes(), IMAGES_TABLE, str(part), _COLUMNS)
        except PartError as error:
            raise DatasetError(str(error)) from error
        for row in table.to_pylist():
            groups.add(row["group"])
            if row["group"] == split and row["status"] == STATUS_OK:
                rows.append(row)
    if not rows:
        raise DatasetError(
            f"{path} has no images of a group {split!r}; split can be {', '.join(sorted(groups))}"
        )
    rows.sort(key=lambda row: str(row["image_id"]))
    return _image_set(path, split, rows, image_shape)


def _image_set(
    path: Path, split: str, rows: list[dict[str, Any]], image_shape: Shape | None
) -> ArrayImageSet:
    shapes = {(row["channels"], row["height"], row["width"]) for row in rows}
    shape = shapes.pop()
    if shapes:
        raise DatasetError(f"{path}: the images of group {split!r} have several shapes")
    require_shape("run", shape, image_shape)
    pixels = np.array([row["pixels"] for row in rows], dtype=np.float32).reshape(-1, *shape)
    labels = [row["label"] for row in rows]
    known = None if None in labels else np.array(labels, dtype=np.int64)
    return ArrayImageSet("run", split, pixels, known, white=1, path=path)
