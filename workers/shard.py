"""Shards: the unit of work, with an identity made of everything its rows depend on.

A shard's id hashes its stage, settings, inputs, items, the table's version and the revision of the
computation: not the worker count, not the machine. A changed setting or algorithm therefore changes
the id, and old parts are never taken for new ones.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from .revisions import Computation
from .schema import TableSchema

PART_SUFFIX = ".parquet"

MOST_ITEMS = 2**17
"""Of a shard, whose part has a row for each: a file of more rows is no part."""


@dataclass(frozen=True)
class Item:
    """One (generator, condition, image) to compute: a row of the stage's table.

    ``seed`` is the item's own random stream. ``image_part`` and ``image_row`` say where the run's
    ``images`` table holds the pixels. For an image that is yet to be made, ``index`` is its
    position in the dataset, or ``image_seed`` the stream that draws it from the model.
    ``inversion_part`` and ``inversion_row`` say where its inversion is: in the table ``inversion``,
    or in ``inversion_table``.
    """

    generator: str | None
    condition: int | None
    group: str
    image_id: str
    label: int | None
    seed: int
    image_part: str | None = None
    image_row: int | None = None
    index: int | None = None
    image_seed: int | None = None
    inversion_part: str | None = None
    inversion_row: int | None = None
    inversion_table: str | None = None


@dataclass(frozen=True)
class Shard:
    """A fixed list of items of one stage, with the settings that all of them share.

    ``table`` is what the rows that ``computation`` makes of the items are written to. ``settings``
    holds plain JSON values only: it is part of the id. Where a setting or an item's field is None
    it leaves no trace there, so that a new optional one changes no id.
    """

    table: TableSchema
    computation: Computation
    settings: Mapping[str, Any]
    items: tuple[Item, ...]

    @property
    def stage(self) -> str:
        """The name of its stage, which is its table's."""
        return self.table.name

    @cached_property
    def id(self) -> str:
        """The first 16 hex digits of the SHA-256 of all that the rows depend on."""
        return content_id(
            {
                "revision": self.computation.revision,
                "schema_version": self.table.version,
                "stage": self.stage,
                "settings": _given(self.settings),
                "items": [_given(vars(item)) for item in self.items],
            }
        )

    @property
    def calls_networks(self) -> bool:
        """Whether its rows take a generator or another network, and so a GPU where there is one."""
        return self.computation.networks(self.settings)

    @property
    def part(self) -> str:
        """Where in the run directory the shard's rows are published."""
        return part_path(self.stage, self.id)

    def names(self, shard_id: str) -> bool:
        """Whether its rows are computed from that shard's: its items or its settings name it."""
        by_items = any(shard_id in (item.image_part, item.inversion_part) for item in self.items)
        return by_items or f'"{shard_id}"' in json.dumps(_given(self.settings))


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are not None. What lies deeper may be a user's own, where None may count."""
    return {name: value for name, value in fields.items() if value is not None}


def part_path(stage: str, shard_id: str) -> str:
    """The path of a shard's part, relative to the run directory."""
    return f"{stage}/{part_name(shard_id)}"


def part_name(shard_id: str) -> str:
    """The file name of a shard's part."""
    return f"part-{shard_id}{PART_SUFFIX}"


def shard_id_of(part_name: str) -> str:
    """The shard id in a part's file name (``part-<id>.parquet``)."""
    return part_name.removeprefix("part-").removesuffix(PART_SUFFIX)


def content_id(content: object) -> str:
    """16 hex digits of the SHA-256 of ``content`` as canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def item_seed(run_seed: int, *parts: object) -> int:
    """A 63-bit seed from the run's seed and an item's identity (stage, generator, image, ...).

    Independent of shard, order and worker, so that none of these ever changes a result.
    """
    text = json.dumps([run_seed, *parts], separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def chunk(
    table: TableSchema,
    computation: Computation,
    settings: Mapping[str, Any],
    items: Iterable[Item],
    shard_items: int,
) -> Iterator[Shard]:
    """Cuts ``items`` into shards of at most ``shard_items``, in order, as they come."""
    left = iter(items)
    while some := tuple(islice(left, shard_items)):
        yield Shard(table, computation, settings, some)
