"""What a table of a run is: a name, a version, and its columns, written down once.

Each table's own value stands beside the computation that fills it. A table whose columns change
takes the next version, and its shards' ids change with it; other tables' parts stay good.

Every table starts with the key columns (``generator``, ``condition``, ``group``, ``image_id``,
``label``) and holds ``status`` (``ok``, or what failed) and ``error``: there is a row for every
planned item. ``condition`` is the class index the generator was given, null where it has none.
``label`` is the image's own class index, null for outliers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import pyarrow as pa

STATUS_OK = "ok"
STATUS_FAILED = "failed"
STATUS_KILLED_WORKER = "killed worker"

KEY_COLUMNS = ("generator", "condition", "group", "image_id", "label")

STAGE_KEY = "offmanifold.stage"
VERSION_KEY = "offmanifold.schema_version"

# In a run directory, the names of the parts of each table, once the run is complete.
PARTS_FILE = "parts.json"

Columns = tuple[tuple[str, pa.DataType], ...]

_LEADING: Columns = (
    ("generator", pa.string()),
    ("condition", pa.int32()),
    ("group", pa.string()),
    ("image_id", pa.string()),
    ("label", pa.int32()),
    ("status", pa.string()),
    ("error", pa.string()),
)


@dataclass(frozen=True)
class ListColumn:
    """What the lists of a column are held to in rows with status ok; none of them holds a null.

    Args:
        name: The column's.
        length: Names and numbers whose product is the length of each: a column of whole numbers of
            the row, another list of the row (its length), ``setting:NAME`` of the shard (a number,
            or the length of a list), ``search:finalists`` of an image, ``image:values``,
            ``image:residual`` (as many as are kept of one) or ``generator:latent``. None where
            nothing but the part says it: all rows with status ok have as many. Empty where nothing
            does.
        less: By how many it is shorter than that.
        over: Names of lists of the row; that product is divided by their lengths.
        optional: Whether a row may have none.
        numbers: Whether all of them are finite, or may be infinite, or NaN too.
        undefined_at_one: A column of whole numbers of the row: where that is 1, the list's numbers
            are of nothing, and may be NaN.
    """

    name: str
    length: tuple[str | int, ...] | None = None
    less: int = 0
    over: tuple[str, ...] = ()
    optional: bool = False
    numbers: Literal["finite", "infinite too", "any"] = "finite"
    undefined_at_one: str | None = None


@dataclass(frozen=True)
class TableSchema:
    """A table of a run, which is a folder of parts of the same name.

    Args:
        name: The stage's that fills it.
        version: Raised when the columns change.
        columns: Names and types of the table's own columns, which follow those of every table.
        repeated_by: The columns that tell apart the rows of one item, which is an image under a
            condition of a generator; empty where an item has one row.
        always: Columns of numbers that every row with status ok has, finite.
        lists: What is asked of each column of lists.
    """

    name: str
    version: int
    columns: Columns
    repeated_by: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    lists: tuple[ListColumn, ...] = ()

    @cached_property
    def arrow(self) -> pa.Schema:
        """All columns, with the table's name and version in the metadata."""
        metadata: dict[str | bytes, str | bytes] = {
            STAGE_KEY: self.name,
            VERSION_KEY: str(self.version),
        }
        return pa.schema([*_LEADING, *self.columns], metadata=metadata)

    def __getstate__(self) -> Mapping[str, object]:
        """Without what can be made again: every shard that is sent to a worker has its table."""
        return {name: value for name, value in vars(self).items() if name != "arrow"}
