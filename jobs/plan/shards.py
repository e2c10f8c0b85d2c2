"""The shards of a stage, of which only ids and sizes are kept: the rest is made when needed."""

from array import array
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ...workers.shard import Shard

_ID_BYTES = 8


class Shards:
    """A stage's shards, made again, the same ones, each time that they are gone through.

    A large audit has more items than a driver can hold.

    Args:
        make: makes all of them, in their order, every time that it is called.

    Raises:
        ValueError: two of them are the same.
    """

    def __init__(self, make: Callable[[], Iterable[Shard]]) -> None:
        self._make = make
        self._ids = bytearray()
        self._sizes = array("I")
        for shard in make():
            self._ids += bytes.fromhex(shard.id)
            self._sizes.append(len(shard.items))
        self.items: int = sum(self._sizes)
        """How many items they have together."""
        if np.unique(np.frombuffer(self._ids, np.uint64)).size < len(self):
            raise ValueError("two shards have the same id; each must be planned once")

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Iterator[Shard]:
        return iter(self._make())

    @property
    def ids(self) -> Iterator[str]:
        """Their ids, in their order."""
        starts = range(0, len(self._ids), _ID_BYTES)
        return (self._ids[start : start + _ID_BYTES].hex() for start in starts)

    @property
    def sizes(self) -> Iterator[tuple[str, int]]:
        """Each one's id, and how many items it has."""
        return zip(self.ids, self._sizes, strict=True)

    def with_ids(self) -> Iterator[tuple[str, Shard]]:
        """Each with its id, which need not be computed again."""
        return zip(self.ids, self, strict=True)
