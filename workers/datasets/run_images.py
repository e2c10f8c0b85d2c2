"""The images of a group of another run, out of its Parquet, read as they are needed."""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...cluster.local_storage import LocalStorage
from ...cluster.regular_file import read_regular
from ...cluster.storage import StorageError
from ..command_lines import command, resuming
from ..json_file import MOST_BYTES, MOST_NAMES, parse_json
from ..part_file import read_columns, read_columns_of_parts
from ..schema import PARTS_FILE, STATUS_OK
from ..shard import PART_SUFFIX, shard_id_of
from ..stored_images import IMAGES_TABLE
from .account import Account
from .image_set import (
    DatasetError,
    ImageError,
    IndexedImages,
    Shape,
    describe_shape,
    require_index,
    require_shape,
)

_COLUMNS = ("group", "generator", "status", "label", "image_id", "channels", "height", "width")
# What a process holds of the pixels at a time, besides the part that it reads.
_KEPT_BYTES = 2**28


class _Row(NamedTuple):
    """An image's place in the run: the id of its part, and its row there."""

    image_id: str
    label: int | None
    part: str
    row: int


class RunImages(IndexedImages):
    """Images in the order of their ids; those of the parts read last are held."""

    name = "run"

    def __init__(self, path: Path, split: str, image_shape: Shape, rows: list[_Row]) -> None:
        """``rows`` are in order; ``path`` is the run directory, on this machine."""
        self.split = split
        self.image_shape = image_shape
        self.length: int | None = len(rows)
        known = [row.label for row in rows if row.label is not None]
        self._labels = np.array(known, np.int64) if len(known) == len(rows) else None
        self.num_classes = 0 if self._labels is None else int(self._labels.max()) + 1
        missing = (
            f"{len(rows) - len(known):,} of the {len(rows):,} images have no class in that run"
        )
        self.account = Account(len(rows), unclassed=missing if len(known) < len(rows) else None)
        self._path = path
        self._rows = rows
        self._storage = LocalStorage(path)
        self._kept: OrderedDict[str, pa.Array[Any]] = OrderedDict()

    def labels(self) -> NDArray[np.int64] | None:
        """See ImageSet."""
        return self._labels

    def image(self, index: int) -> tuple[NDArray[np.float32], int | None]:
        """See ImageSet."""
        require_index(index, self.length)
        row = self._rows[index]
        try:
            pixels = self._pixels(row.part)[row.row]
        except StorageError as error:
            raise ImageError(str(error)) from error
        label = None if self._labels is None else int(self._labels[index])
        if not pixels.is_valid or len(pixels.values) != math.prod(self.image_shape):
            shape = describe_shape(self.image_shape)
            raise ImageError(f"{self.source(index)} has no pixels of shape {shape}")
        return pixels.values.to_numpy().reshape(self.image_shape), label

    def source(self, index: int) -> str:
        """See ImageSet."""
        require_index(index, self.length)
        return f"{self.name}:{self._path.as_posix()}:{self.split}:{index}"

    def hash(self) -> str:
        """See ImageSet; as of the same images in one array."""
        shape = (self.length, *self.image_shape)
        digest = hashlib.sha256(f"{shape} {np.float32(1)}".encode())
        for index in range(len(self._rows)):
            try:
                digest.update(self.image(index)[0].tobytes())
            except ImageError:
                # Such an image is one failed image of the audit; mending it changes the hash.
                digest.update(b"unreadable")
        digest.update(b"" if self._labels is None else self._labels.tobytes())
        return digest.hexdigest()

    def fingerprint(self) -> str:
        """See ImageSet; of the ids of the parts, which are of all that their rows depend on."""
        digest = hashlib.sha256()
        for row in self._rows:
            digest.update(f"{row.part} {row.row} {row.image_id} {row.label} ".encode())
        return digest.hexdigest()

    def _pixels(self, part: str) -> "pa.Array[Any]":
        if part not in self._kept:
            while sum(each.nbytes for each in self._kept.values()) > _KEPT_BYTES:
                self._kept.popitem(last=False)
            table = read_columns(self._storage, IMAGES_TABLE, part, ["pixels"])
            self._kept[part] = table["pixels"].combine_chunks()
        self._kept.move_to_end(part)
        return self._kept[part]


def open_run(split: str, path: Path | None, image_shape: Shape | None, seed: int) -> RunImages:
    """The images of the group ``split`` of the run directory ``path``, in the order of their ids.

    Where several generators made a group, ``split`` is ``GROUP/GENERATOR``. Images that failed
    there are left out. A group in which some have labels and some have none is taken as unlabelled.
    """
    del seed
    if path is None:
        raise DatasetError("image set 'run' needs a path: the run directory")
    storage = LocalStorage(path)
    names = [file.name for file in path.glob(f"{IMAGES_TABLE.name}/part-*{PART_SUFFIX}")]
    if not names:
        raise DatasetError(f"{path} has no images/part-*.parquet: name a run directory")
    _refuse_unplanned(path, set(names))
    parts = sorted(shard_id_of(name) for name in names)
    try:
        tables = list(read_columns_of_parts(storage, IMAGES_TABLE, parts, _COLUMNS))
    except StorageError as error:
        raise DatasetError(str(error)) from error
    table = pa.concat_tables(tables)
    lengths = zip(parts, map(len, tables), strict=True)
    places = [(part, row) for part, length in lengths for row in range(length)]
    return _image_set(path, split, table, places, image_shape)


def _refuse_unplanned(path: Path, names: Set[str]) -> None:
    """Holds the parts that lie there against the run's list of them, once it is complete."""
    listing = path / PARTS_FILE
    if not listing.exists():
        return
    try:
        content = read_regular(listing, MOST_BYTES)
        planned = set(parse_json(content, most_values=MOST_NAMES)["tables"][IMAGES_TABLE.name])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{listing} is damaged; `{command('report', path)}` writes it again"
        ) from error
    if strange := sorted(names ^ planned):
        folder = path / IMAGES_TABLE.name
        raise DatasetError(
            f"{folder} does not hold the parts that {listing} lists: {strange[0]} is "
            f"{'not listed' if strange[0] in names else 'missing'}; finish that run first "
            f"(`{resuming(path)}`)"
        )


def _image_set(
    path: Path,
    split: str,
    table: pa.Table,
    places: Sequence[tuple[str, int]],
    image_shape: Shape | None,
) -> RunImages:
    group, _, generator = split.partition("/")
    makers = _makers(path, group, table)
    if generator and generator not in makers:
        raise DatasetError(
            f"{path}: group {group!r} has no images of a generator {generator!r}; it has "
            f"{', '.join(map(str, makers))}"
        )
    if not generator and len(makers) > 1:
        raise DatasetError(
            f"{path}: {len(makers)} generators made the images of group {group!r}; say whose are "
            f"meant: split: {group}/{makers[0]}, for instance"
        )
    rows, shapes = [], set()
    for row, (part, index) in zip(table.to_pylist(), places, strict=True):
        if (
            row["group"] == group
            and row["status"] == STATUS_OK
            and (not generator or row["generator"] == generator)
        ):
            shapes.add((row["channels"], row["height"], row["width"]))
            rows.append(_Row(str(row["image_id"]), row["label"], part, index))
    if not rows:
        raise DatasetError(f"{path}: no image of group {group!r} succeeded")
    if len(shapes) > 1:
        raise DatasetError(f"{path}: the images of group {split!r} have several shapes")
    (shape,) = shapes
    require_shape("run", shape, image_shape)
    return RunImages(path, split, shape, sorted(rows, key=lambda row: (row.image_id, *row[2:])))


def _makers(path: Path, group: str, table: pa.Table) -> list[str | None]:
    """The generators of a group's images, in order; None for data."""
    groups = table["group"].to_pylist()
    if group not in groups:
        raise DatasetError(
            f"{path} has no images of a group {group!r}; split can be "
            f"{', '.join(sorted(set(map(str, groups))))}"
        )
    found = {
        maker
        for each, maker in zip(groups, table["generator"].to_pylist(), strict=True)
        if each == group
    }
    return sorted(found, key=str)
