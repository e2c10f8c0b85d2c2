"""The table ``images``, and its reading: what every other stage is computed from."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from .part_file import Part, read_part
from .resources import Resources
from .schema import ListColumn, TableSchema
from .shard import Item, part_path

# Pixels are row-major (channels, height, width) in [0, 1]; latent is a generated image's own.
IMAGES_TABLE = TableSchema(
    "images",
    2,
    (
        ("source", pa.string()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("channels", pa.int32()),
        ("pixels", pa.list_(pa.float32())),
        ("latent", pa.list_(pa.float32())),
    ),
    always=("height", "width", "channels"),
    lists=(
        ListColumn("pixels", ("height", "width", "channels")),
        ListColumn("latent", ("generator:latent",), optional=True),
    ),
)

_COLUMNS = ("image_id", "source", "pixels", "channels", "height", "width")
_PARTS_KEPT = 8


@dataclass(frozen=True)
class StoredImage:
    """A row of the ``images`` table: which it is, its source, and its pixels unless it failed."""

    image_id: str
    source: str | None
    pixels: npt.NDArray[np.float32] | None


def stored_images(items: Sequence[Item], resources: Resources) -> Tensor:
    """The items' images from the run's ``images`` table, float32 [items, C, H, W] in [0, 1].

    Raises:
        ValueError: an image failed there, or an item names none.
    """
    images = np.stack([_pixels(item, resources) for item in items])
    return torch.from_numpy(images).to(resources.device)


def source_of(item: Item, resources: Resources) -> str | None:
    """Where the item's image came from, as its dataset names it.

    Raises:
        ValueError: the item names no image.
    """
    return _stored(item, resources).source


def _pixels(item: Item, resources: Resources) -> npt.NDArray[np.float32]:
    pixels = _stored(item, resources).pixels
    if pixels is None:
        raise ValueError(f"image {item.image_id} failed in the images stage")
    return pixels


def _stored(item: Item, resources: Resources) -> StoredImage:
    part = item.image_part
    if part is None or item.image_row is None:
        raise ValueError(f"item {item.image_id} names no stored image")

    place = Part(part_path(IMAGES_TABLE.name, part), resources.storage.locate())

    def read() -> list[StoredImage]:
        table = read_part(resources.storage, IMAGES_TABLE, part, _COLUMNS)
        return [_stored_image(table, row, place) for row in range(len(table))]

    stored = resources.kept(IMAGES_TABLE.name, part, read, most=_PARTS_KEPT)
    row = item.image_row
    if row >= len(stored) or stored[row].image_id != item.image_id:
        found = stored[row].image_id if row < len(stored) else "none"
        raise place.error(f"has image {found} in row {row}, where {item.image_id} was planned")
    return stored[row]


def _stored_image(table: pa.Table, row: int, part: Part) -> StoredImage:
    image_id, source, pixels, *shape = (table[name][row] for name in _COLUMNS)
    if not pixels.is_valid:
        return StoredImage(image_id.as_py(), source.as_py(), None)
    # Straight from Arrow: a list of Python numbers would take eight times the memory.
    values, sizes = pixels.values.to_numpy(zero_copy_only=False), [size.as_py() for size in shape]
    has_sizes = all(isinstance(size, int) and size > 0 for size in sizes)
    if not has_sizes or len(values) != prod(sizes) or not np.isfinite(values).all():
        raise part.error(f"has no whole image of finite pixels in row {row}")
    values = values.reshape(sizes)
    return StoredImage(image_id.as_py(), source.as_py(), values)
