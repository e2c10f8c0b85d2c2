"""Reading a pickle for its tensors and plain values; nothing that it names is imported or called.

StyleGAN's networks are published as pickles that carry their source code, and run it when they are
opened. Here the few constructors that tensors, arrays and containers need are replaced by checked
ones of our own; whatever else a pickle names becomes an `Inert` object that remembers what it was
given.
"""

import io
import pickle
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from .pickled_objects import Array, Inert, Network, NumberType, PickledStorage, PickleError

_MOST_OPERATIONS = 20_000_000
# A type takes a kilobyte, its name a few bytes of the file.
_MOST_NAMES = 10_000
_OLD_TORCH_NUMBER = 0x1950A86A20F9469CFC6C
_STORAGE_TYPES = {
    "UntypedStorage": torch.uint8,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ShortStorage": torch.int16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "BoolStorage": torch.bool,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
}


class _Constructor:
    """One of our checked constructors; a pickle can call it, and change nothing about it."""

    __slots__ = ("_construct",)

    def __init__(self, construct: Callable[..., Any]) -> None:
        self._construct = construct

    def __call__(self, *arguments: Any) -> Any:
        return self._construct(*arguments)

    def __setstate__(self, _: Any) -> NoReturn:
        raise PickleError("it tries to change a constructor")


class _StorageKind:
    """The type of a storage's numbers, by its name in torch."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def __setstate__(self, _: Any) -> NoReturn:
        raise PickleError("it tries to change a type")


class _Unpickler(pickle.Unpickler):
    """Knows no name but those given to it; every other one is inert."""

    def __init__(self, stream: io.BytesIO, known: Mapping[str, Any], encoding: str) -> None:
        super().__init__(stream, encoding=encoding)
        self._known = known
        self._inert: dict[str, type[Inert]] = {}
        self.storages: dict[str, tuple[torch.dtype, int]] = {}

    def find_class(self, module_name: str, name: str, /) -> Any:
        """What stands for a name; nothing is imported."""
        if module_name in ("torch", "torch.storage") and name in _STORAGE_TYPES:
            return _StorageKind(_STORAGE_TYPES[name])
        full_name = f"{module_name}.{name}"
        if full_name in self._known:
            return self._known[full_name]
        if full_name not in self._inert:
            if len(self._inert) == _MOST_NAMES:
                raise PickleError(f"it names more than {_MOST_NAMES:,} types")
            self._inert[full_name] = type(full_name, (Inert,), {})
        return self._inert[full_name]

    def persistent_load(self, pid: Any, /) -> Any:
        """A storage's reference, as torch writes it; no other outside object is known."""
        if (
            not isinstance(pid, tuple)
            or len(pid) < 5
            or pid[0] != "storage"
            or not isinstance(pid[1], _StorageKind)
            or not isinstance(pid[4], int)
        ):
            raise PickleError("it refers to an object outside the file")
        self.storages[str(pid[2])] = (pid[1].dtype, pid[4])
        return str(pid[2])


def read_pickle(content: bytes, encoding: str = "ASCII") -> Any:
    """What a pickle holds: plain values, tensors, `Network`s, `Array`s and `Inert` objects.

    ``encoding`` is that of Python 2's strings, or "bytes".

    Raises:
        PickleError: it is damaged, or asks for what no checkpoint needs.
    """
    return _load(io.BytesIO(content), _constructors(len(content)), encoding).value


@dataclass(frozen=True)
class _Loaded:
    value: Any
    storages: dict[str, tuple[torch.dtype, int]]


def _load(stream: io.BytesIO, known: Mapping[str, Any], encoding: str = "ASCII") -> _Loaded:
    """The next pickle of a stream, which is left at its end."""
    start = stream.tell()
    end = _require_modest(stream)
    stream.seek(start)
    unpickler = _Unpickler(stream, known, encoding)
    try:
        loaded = _Loaded(unpickler.load(), unpickler.storages)
    except (pickle.UnpicklingError, LookupError, TypeError, AttributeError, ValueError) as error:
        raise PickleError(f"{type(error).__name__}: {error}") from error
    except (EOFError, OverflowError, MemoryError, RuntimeError) as error:
        raise PickleError(f"{type(error).__name__}: {error}") from error
    stream.seek(end)
    return loaded


def _require_modest(stream: io.BytesIO) -> int:
    """Looks through a pickle's operations, without performing any; returns where it ends.

    A memo is as long as its largest index, whatever was put there: an index beyond the number of
    operations so far would only take memory.
    """
    count = 0
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(stream), start=1):
            if operation.name in ("PUT", "BINPUT", "LONG_BINPUT") and (argument or 0) > count:
                raise PickleError(f"its memo index is too large: {argument}")
            if count > _MOST_OPERATIONS:
                raise PickleError(f"it has more than {_MOST_OPERATIONS:,} operations")
    except (ValueError, UnicodeError, EOFError) as error:
        raise PickleError(f"after {count} operations: {error}") from error
    return stream.tell()


def _constructors(budget: int) -> dict[str, Any]:
    """What a pickle may build, by the name that it gives it; storages share ``budget`` bytes."""
    remaining = [budget]

    def storage(content: Any) -> PickledStorage:
        if not isinstance(content, bytes) or len(content) > remaining[0]:
            raise PickleError("its storages are larger than the file")
        remaining[0] -= len(content)
        return _storage(content)

    constructors: dict[str, Callable[..., Any]] = {
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_parameter": _parameter,
        "torch.storage._load_from_bytes": storage,
        "torch_utils.persistence._reconstruct_persistent_obj": _network,
        "numpy.dtype": NumberType,
        "dill._dill._create_array": _dill_array,
    }
    for package in ("numpy.core", "numpy._core"):
        constructors[f"{package}.multiarray._reconstruct"] = lambda *_: Array()
        constructors[f"{package}.multiarray.scalar"] = _scalar
    return {name: _Constructor(construct) for name, construct in constructors.items()}


def _network(meta: Any) -> Network:
    state = meta.get("state") if isinstance(meta, dict) else None
    if not isinstance(state, dict) or not isinstance(meta.get("class_name"), str):
        raise PickleError("a network in it lacks its class or its state")
    return Network(meta["class_name"], state)


def _dill_array(_: Any, __: Any, state: Any, *___: Any) -> Array:
    """An array as dill describes it: numpy's constructor, its arguments, and the state."""
    array = Array()
    array.__setstate__(state)
    return array


def _storage(content: bytes) -> PickledStorage:
    """A storage in torch's format before version 1.6, which holds five pickles and the numbers."""
    stream = io.BytesIO(content)
    number = _load(stream, {}).value
    if number != _OLD_TORCH_NUMBER:
        raise PickleError("a storage in it is not as torch writes it")
    _load(stream, {})
    _load(stream, {})
    referred = _load(stream, {})
    keys = _load(stream, {}).value
    if keys != [referred.value] or referred.value not in referred.storages:
        raise PickleError("a storage in it does not hold one storage")
    dtype, length = referred.storages[referred.value]
    numbers = content[stream.tell() + 8 :]
    if len(numbers) != length * dtype.itemsize:
        raise PickleError(f"a storage in it has {len(numbers)} bytes for {length} numbers")
    if not length:
        return PickledStorage(torch.empty(0, dtype=dtype))
    return PickledStorage(torch.frombuffer(bytearray(numbers), dtype=dtype))


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    """A view of a storage, checked to lie inside it and to be no larger than it."""
    sizes = [offset, *shape, *strides] if isinstance(shape, tuple | Inert) else [None]
    whole = all(type(size) is int and size >= 0 for size in sizes)
    if not isinstance(storage, PickledStorage) or not whole or len(shape) != len(strides):
        raise PickleError("a tensor in it lacks its storage or its shape")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if prod(shape) and (last >= len(storage.numbers) or prod(shape) > len(storage.numbers)):
        raise PickleError(f"a tensor of shape {list(shape)} in it is larger than its storage")
    return storage.numbers.as_strided(shape, strides, offset)


def _parameter(tensor: Any, *_: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise PickleError("a parameter in it is not a tensor")
    return tensor


def _scalar(kind: Any, content: Any) -> Any:
    if not isinstance(kind, NumberType) or not isinstance(content, bytes):
        raise PickleError("a number in it is not as numpy writes it")
    return np.frombuffer(content, kind.dtype, count=1)[0].item()
