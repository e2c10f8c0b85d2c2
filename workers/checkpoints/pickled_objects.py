"""What the objects in a pickle become when it is read: content, checked, and no behaviour."""

import re
from math import prod
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

# Torch has 64.
_MOST_DIMENSIONS = 64


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

    def __repr__(self) -> str:
        """Its type: what it holds may have no text that fits into memory."""
        return f"<{type(self).__name__}>"

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

    def __setstate__(self, _: Any) -> NoReturn:
        raise PickleError("it tries to change a network")


class PickledStorage:
    """A tensor's numbers, flat."""

    __slots__ = ("numbers",)

    def __init__(self, numbers: Tensor) -> None:
        self.numbers = numbers

    def __setstate__(self, _: Any) -> NoReturn:
        raise PickleError("it tries to change a storage")

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


class PickledTensor:
    """A tensor as a pickle describes it: a view of a storage, which it cannot enlarge."""

    __slots__ = ("_offset", "_storage", "_strides", "shape")

    def __init__(
        self,
        storage: PickledStorage,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
    ) -> None:
        self._storage = storage
        self._offset = offset
        self._strides = strides
        self.shape = shape

    def __setstate__(self, _: Any) -> NoReturn:
        raise PickleError("it tries to change a tensor")

    @classmethod
    def of(cls, storage: Any, offset: Any, shape: Any, strides: Any) -> "PickledTensor":
        """The view, checked to lie inside its storage and to be no larger than it.

        Raises:
            PickleError: it is not, or its numbers are no such description.
        """
        if not isinstance(storage, PickledStorage):
            raise PickleError("a tensor in it lacks its storage or its shape")
        sizes, steps = _sizes(shape), _sizes(strides)
        if len(sizes) != len(steps) or not _is_size(offset):
            raise PickleError("a tensor in it lacks its storage or its shape")
        count, length = prod(sizes), len(storage.numbers)
        last = offset + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
        if count and (last >= length or count > length):
            raise PickleError(f"a tensor of shape {list(sizes)} in it is larger than its storage")
        return cls(storage, offset, sizes, steps)

    def tensor(self) -> Tensor:
        """The tensor itself, on the storage's numbers."""
        return self._storage.numbers.as_strided(self.shape, self._strides, self._offset)


def tensor_in(value: Any) -> Tensor | None:
    """The tensor that a value is; None for any other."""
    if isinstance(value, PickledTensor):
        return value.tensor()
    return value if isinstance(value, Tensor) else None


def _sizes(value: Any) -> tuple[int, ...]:
    """A shape or strides; torch.Size is an object without behaviour that was built from a tuple."""
    if isinstance(value, Inert) and len(value.arguments) == 1:
        value = value.arguments[0]
    if not isinstance(value, tuple) or len(value) > _MOST_DIMENSIONS:
        raise PickleError("a tensor in it lacks its storage or its shape")
    if not all(map(_is_size, value)):
        raise PickleError("a tensor in it lacks its storage or its shape")
    return value


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _text(value: Any) -> Any:
    """Python 2's strings, which are bytes where a pickle is read as holding those, as text."""
    return value.decode("latin1") if isinstance(value, bytes) else value


class NumberType:
    """A numpy type, if it is one of plain numbers."""

    __slots__ = ("dtype",)

    def __init__(self, name: Any, *_: Any) -> None:
        name = _text(name)
        if not isinstance(name, str) or not re.fullmatch(r"[fiub]\d{1,2}", name):
            told = repr(name[:40]) if isinstance(name, str) else f"a {type(name).__name__}"
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
