"""The rows of a shard, or of some of its items, and what a part says of them besides."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from .computed_on import COMPUTED_ON_KEY, in_metadata, read_from
from .json_file import MOST_NESTED, MOST_VALUES, parse_json
from .outcome import Failure, Outcome, Row
from .schema import STATUS_FAILED, STATUS_OK, TableSchema
from .seal import sealed_table
from .shard import Item, Shard
from .soundness import columns_of, unsound_numbers

SECONDS_KEY = "offmanifold.seconds"
REVISION_KEY = "offmanifold.revision"
# JSON: tracebacks of failed rows by their position. In a part's metadata, since they are for people
# who mend things and no column of the table.
TRACEBACKS_KEY = "offmanifold.tracebacks"


@dataclass(frozen=True)
class ShardRows:
    """Rows by the position of their items in the shard.

    ``tracebacks`` are those of failed ones, ``computers`` on what they were computed and
    ``seconds`` how long that took.
    """

    rows: Mapping[int, Row] = field(default_factory=dict)
    tracebacks: Mapping[int, str] = field(default_factory=dict)
    computers: Sequence[dict[str, str]] = ()
    seconds: float = 0.0

    @classmethod
    def of(
        cls,
        table: TableSchema,
        items: Sequence[Item],
        outcomes: Sequence[Outcome],
        first: int,
        computer: dict[str, str],
        seconds: float,
    ) -> "ShardRows":
        """Those of items that were computed, from the ``first`` position on.

        One that lacks numbers that a row without error has is a failure.
        """
        rows: dict[int, Row] = {}
        tracebacks = {}
        for position, (item, outcome) in enumerate(zip(items, outcomes, strict=True), first):
            if isinstance(outcome, Failure):
                rows[position] = failed_row(item, STATUS_FAILED, outcome.error)
                if outcome.traceback is not None:
                    tracebacks[position] = outcome.traceback
            else:
                rows[position] = {**_keys(item), "status": STATUS_OK, "error": None, **outcome}
        for place, problem in _broken(table, list(rows.values())).items():
            error = f"{problem}; is the generator's output finite?"
            rows[first + place] = failed_row(items[place], STATUS_FAILED, error)
        return cls(rows, tracebacks, [computer], seconds)

    @classmethod
    def of_piece(cls, piece: pa.Table, first: int) -> "ShardRows":
        """Those that were kept, from the ``first`` position on."""
        try:
            seconds = float((piece.schema.metadata or {})[SECONDS_KEY.encode()])
        except (KeyError, ValueError):
            # A duration that nobody's result hangs on.
            seconds = 0.0
        return cls(
            dict(enumerate(piece.to_pylist(), first)),
            {first + position: text for position, text in tracebacks_of(piece).items()},
            read_from(piece),
            seconds,
        )

    @classmethod
    def together(cls, parts: Iterable["ShardRows"]) -> "ShardRows":
        """Those of several, of different items."""
        rows: dict[int, Row] = {}
        tracebacks: dict[int, str] = {}
        computers: list[dict[str, str]] = []
        seconds = 0.0
        for part in parts:
            rows |= part.rows
            tracebacks |= part.tracebacks
            computers += part.computers
            seconds += part.seconds
        return cls(rows, tracebacks, computers, seconds)

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return sum(row["status"] != STATUS_OK for row in self.rows.values())

    def serialised(self, shard: Shard, name: str, start: int, stop: int) -> bytes:
        """The items [start, stop), all of which are there, as the file of that name."""
        schema = shard.table.arrow
        metadata: dict[str | bytes, str | bytes] = {
            SECONDS_KEY: f"{self.seconds:.3f}",
            REVISION_KEY: str(shard.computation.revision),
            COMPUTED_ON_KEY: in_metadata(self.computers),
        }
        if self.tracebacks:
            found = {position - start: text for position, text in self.tracebacks.items()}
            metadata[TRACEBACKS_KEY] = json.dumps(found)
        metadata.update((schema.metadata or {}).items())
        rows = [self.rows[position] for position in range(start, stop)]
        return sealed_table(pa.Table.from_pylist(rows, schema=schema.with_metadata(metadata)), name)


def _broken(table: TableSchema, rows: list[Row]) -> dict[int, str]:
    """What rows that say ok lack, by their place."""
    schema = pa.schema([table.arrow.field(name) for name in columns_of(table)])
    return unsound_numbers(table, pa.Table.from_pylist(rows, schema=schema))


def failed_row(item: Item, status: str, error: str) -> Row:
    """The row of an item that has no values."""
    return {**_keys(item), "status": status, "error": error}


def tracebacks_of(part: pa.Table) -> dict[int, str]:
    """The tracebacks that a part keeps of its failed rows, by their position."""
    text = (part.schema.metadata or {}).get(TRACEBACKS_KEY.encode())
    if text is None:
        return {}
    # Program text is full of commas and brackets, which are no values.
    most_nested, most_values = max(MOST_NESTED, len(text)), max(MOST_VALUES, len(text))
    try:
        found = parse_json(text, most_nested, most_values)
        return {int(row): str(it) for row, it in found.items()}
    except (ValueError, AttributeError):
        # Nobody's result hangs on them, and a part of unknown origin may say anything.
        return {}


def _keys(item: Item) -> Row:
    return {
        "generator": item.generator,
        "condition": item.condition,
        "group": item.group,
        "image_id": item.image_id,
        "label": item.label,
    }
