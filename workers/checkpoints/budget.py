"""How much a file that is read may ask for: time, memory, and keys that take long to look up."""

from typing import Any

from .pickled_objects import PickleError

# Some seconds of a slow core. StyleGAN3's largest pickle has 70,000, a history of losses more.
_LEAST_OPERATIONS = 1_000_000
_BYTES_PER_OPERATION = 100
# A type takes a kilobyte, its name a few bytes of the file.
_MOST_TYPES = 10_000
# Tensors may share their numbers; what is done with them takes memory for each.
_TENSORS_PER_BYTE = 16
_LEAST_NUMBERS = 2**20
_MOST_IN_A_KEY = 64
_LONG_KEY = 250


class Budget:
    """What is left for reading a file of ``size`` bytes, with all pickles in it."""

    def __init__(self, size: int) -> None:
        self._left = {
            "operations": max(_LEAST_OPERATIONS, size // _BYTES_PER_OPERATION),
            "types": _MOST_TYPES,
            "bytes in storages": size,
            "bytes in texts": size,
            "numbers in tensors": max(_LEAST_NUMBERS, _TENSORS_PER_BYTE * size),
        }

    def take(self, kind: str, amount: int) -> None:
        """Uses up some of it.

        Raises:
            PickleError: there is not so much left.
        """
        self._left[kind] -= amount
        if self._left[kind] < 0:
            raise PickleError(f"it asks for more {kind} than a file of its size may")


def require_plain_key(key: Any, budget: Budget) -> None:
    """Refuses a key of a dict, or a member of a set, that may take long to hash or to compare.

    Python does not remember a tuple's hash: one of one twice over, sixty deep, is short in a file.

    Raises:
        PickleError: it holds too much, or too many such keys were there before.
    """
    if isinstance(key, str | bytes | float | None):
        return
    waiting, count = [key], 0
    while waiting:
        part = waiting.pop()
        count += 1
        if isinstance(part, tuple | frozenset):
            # Others can be made to collide: there may be some, not millions.
            budget.take("operations", _LONG_KEY)
            waiting += list(part)[:_MOST_IN_A_KEY]
            count += max(len(part) - _MOST_IN_A_KEY, 0)
        if count > _MOST_IN_A_KEY or (isinstance(part, int) and part.bit_length() > 64):
            raise PickleError("a key in it is too long or too deep to look up")
