"""What the objects in a pickle become when it is read: content, checked, and no behaviour."""

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class PickleError(ValueError):
    """A pickle is damaged, or asks for what no checkpoint needs."""


class Inert(dict[Any, Any]):
    """Stands for an object of a type that is not known here: its content, and no behaviour.

    As a dict it holds the items that the pickle sets; ``arguments`` are what it was built from,
    ``state`` what would have become its attributes.
    """

    arguments: tuple[Any, ...] = ()
    state: Any = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__()
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __hash__(self) -> int:  # type: ignore[override]
        """By identity: paths and the like are keys in what scripts save."""
        return id(self)

    def __call__(self, *_: Any) -> "Inert":
        """Calling an inert object gives another one."""
        return Inert()

    def append(self, _: Any) -> None:
        """Members are not kept: no checkpoint has any that matter."""

    def extend(self, _: Any) -> None:
        """Members are not kept: no checkpoint has any that matter."""


class Network:
    """A network as StyleGAN pickles it: its class's name and its attributes."""

    def __init__(self, class_name: str, state: dict[str, Any]) -> None:
        self.class_name = class_name
        self.state = state


class PickledStorage:
    """A tensor's numbers, flat."""

    __slots__ = ("numbers",)

    def __init__(self, numbers: Tensor) -> None:
        self.numbers = numbers

    @classmethod
    def of(cls, content: bytes, dtype: torch.dtype, length: int) -> "PickledStorage":
        """``length`` numbers from their bytes.

        Raises:
            PickleError: there are more bytes, or fewer.
        """
        if len(content) != length * dtype.itemsize:
            raise PickleError(f"a storage in it has {len(content)} bytes for {length} numbers")
        if not length:
            return cls(torch.empty(0, dtype=dtype))
        return cls(torch.frombuffer(bytearray(content), dtype=dtype))


def _text(value: Any) -> Any:
    """Python 2's strings, which are bytes where a pickle is read as holding those, as text."""
    return value.decode("latin1") if isinstance(value, bytes) else value


class NumberType:
    """A numpy type, if it is one of plain numbers."""

    __slots__ = ("dtype",)

    def __init__(self, name: Any, *_: Any) -> None:
        name = _text(name)
        if not isinstance(name, str) or not re.fullmatch(r"[fiub]\d{1,2}", name):
            told = repr(name) if isinstance(name, str) else f"a {type(name).__name__}"
            raise PickleError(f"an array in it is of type {told}, not of numbers")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        order = _text(state[1]) if isinstance(state, tuple) and len(state) > 1 else None
        if order in ("<", ">", "="):
            self.dtype = self.dtype.newbyteorder(order)


class Array:
    """A numpy array as a pickle describes it; without a value where it holds no numbers."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: npt.NDArray[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise PickleError("an array in it is not as numpy writes it")
        _, shape, kind, fortran, content = state
        if isinstance(kind, Inert):
            return
        if not isinstance(kind, NumberType) or not isinstance(content, bytes):
            raise PickleError("an array in it does not hold numbers")
        numbers = np.frombuffer(content, kind.dtype)
        self.value = numbers.reshape(shape, order="F" if fortran else "C")
