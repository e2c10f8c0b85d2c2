"""Where results lie, by item, in a few bytes each: a large audit has tens of millions of them."""

from array import array
from collections.abc import Hashable, Iterable, Sequence

import numpy as np


class Places:
    """The part and the row of each item.

    Args:
        found: each item's key, the position of its part in ``parts``, and its row there.
        parts: the parts' ids.

    Raises:
        ValueError: two keys are one, or have one hash.
    """

    def __init__(self, found: Iterable[tuple[Hashable, int, int]], parts: Sequence[str]) -> None:
        self._parts = parts
        hashes, where, rows = array("q"), array("I"), array("I")
        for key, part, row in found:
            hashes.append(hash(key))
            where.append(part)
            rows.append(row)
        unsorted = np.frombuffer(hashes, np.int64)
        order = np.argsort(unsorted)
        self._hashes = unsorted[order]
        self._where = np.frombuffer(where, np.uint32)[order]
        self._rows = np.frombuffer(rows, np.uint32)[order]
        if (self._hashes[1:] == self._hashes[:-1]).any():
            raise ValueError("an item occurs twice, or two items have the same hash: run again")

    def get(self, key: Hashable) -> tuple[str, int] | None:
        """The part and the row of an item; None where it is nowhere."""
        sought = hash(key)
        index = int(np.searchsorted(self._hashes, sought))
        if index == len(self._hashes) or self._hashes[index] != sought:
            return None
        return self._parts[self._where[index]], int(self._rows[index])
