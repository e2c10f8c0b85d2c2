"""Reading a pickle for its tensors and plain values; nothing that it names is imported or called.

StyleGAN's networks are published as pickles that carry their source code, and run it when they are
opened; training scripts save settings of types of their own beside their weights. Here the few
constructors that tensors, arrays and containers need are replaced by checked ones of our own;
whatever else a pickle names becomes an `Inert` object that remembers what it was given.
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


@dataclass(frozen=True)
class StorageReference:
    """How a pickle names a storage that lies outside it; ``view`` is (key, offset, length)."""

    key: str
    dtype: torch.dtype
    length: int
    view: Any = None


StorageOf = Callable[[StorageReference], Any]


def _none_outside(_: StorageReference) -> NoReturn:
    raise PickleError("it refers to an object outside the file")


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

    def __init__(
        self, stream: io.BytesIO, known: Mapping[str, Any], encoding: str, storage_of: StorageOf
    ) -> None:
        super().__init__(stream, encoding=encoding)
        self._known = known
        self._inert: dict[str, type[Inert]] = {}
        self._storage_of = storage_of

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
        if isinstance(pid, tuple) and len(pid) == 4 and pid[0] == "module":
            # Torch used to save a module's type with its source, which stays text.
            return pid[1]
        if (
            not isinstance(pid, tuple)
            or len(pid) < 5
            or pid[0] != "storage"
            or not isinstance(pid[1], _StorageKind)
            or not isinstance(pid[2], str | int)
            or type(pid[4]) is not int
            or pid[4] < 0
        ):
            raise PickleError("it refers to an object outside the file")
        view = pid[5] if len(pid) > 5 else None
        return self._storage_of(StorageReference(str(pid[2]), pid[1].dtype, pid[4], view))


def read_pickle(content: bytes, encoding: str = "ASCII") -> Any:
    """What a pickle holds: plain values, tensors, `Network`s, `Array`s and `Inert` objects.

    ``encoding`` is that of Python 2's strings, or "bytes".

    Raises:
        PickleError: it is damaged, or asks for what no checkpoint needs.
    """
    return _load(io.BytesIO(content), _constructors(len(content)), encoding)


def read_next_pickle(stream: io.BytesIO, budget: int, storage_of: StorageOf) -> Any:
    """What the next pickle in a torch file holds; the stream is left at its end.

    ``storage_of`` gives the storages that the pickle refers to; those inside it take at most
    ``budget`` bytes.

    Raises:
        PickleError: as `read_pickle`.
    """
    # Names and the like in numpy's arrays are left aside, as everything beside the tensors is.
    known = {**_constructors(budget), "numpy.dtype": _Constructor(_type_of_any)}
    return _load(stream, known, "latin1", storage_of)


def _load(
    stream: io.BytesIO,
    known: Mapping[str, Any],
    encoding: str = "ASCII",
    storage_of: StorageOf = _none_outside,
) -> Any:
    """The next pickle of a stream, which is left at its end."""
    start = stream.tell()
    end = _require_modest(stream)
    stream.seek(start)
    unpickler = _Unpickler(stream, known, encoding, storage_of)
    try:
        loaded = unpickler.load()
    except PickleError:
        raise
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
    """What a pickle may build, by the name that it gives it.

    Storages share ``budget`` bytes, and so do texts that become bytes.
    """
    remaining = {"storages": budget, "bytes": budget}

    def take(kind: str, size: int) -> None:
        if size > remaining[kind]:
            raise PickleError(f"its {kind} are larger than the file")
        remaining[kind] -= size

    def storage(content: Any) -> PickledStorage:
        if not isinstance(content, bytes):
            raise PickleError("a storage in it is not as torch writes it")
        take("storages", len(content))
        return _storage(content)

    def encoded(text: Any, encoding: Any = "latin1") -> bytes:
        """Bytes, as pickles of Python 2's protocols spell them."""
        if not isinstance(text, str) or encoding != "latin1":
            raise PickleError("bytes in it are not as Python writes them")
        take("bytes", len(text))
        return text.encode("latin1")

    constructors: dict[str, Callable[..., Any]] = {
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_parameter": _parameter,
        "torch._utils._rebuild_parameter_with_state": _parameter,
        "torch._tensor._rebuild_from_type_v2": _of_subclass,
        "collections.OrderedDict": _ordered,
        "_codecs.encode": encoded,
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
    number = _load(stream, {})
    if number != _OLD_TORCH_NUMBER:
        raise PickleError("a storage in it is not as torch writes it")
    _load(stream, {})
    _load(stream, {})
    referred = _load(stream, {}, storage_of=lambda reference: reference)
    keys = _load(stream, {})
    if not isinstance(referred, StorageReference) or keys != [referred.key]:
        raise PickleError("a storage in it does not hold one storage")
    numbers = content[stream.tell() + 8 :]
    return PickledStorage.of(numbers, referred.dtype, referred.length)


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


def _of_subclass(construct: Any, _: Any, arguments: Any, *__: Any) -> Any:
    """A tensor of a subclass, or one with attributes, which are left out."""
    if not isinstance(construct, _Constructor) or not isinstance(arguments, tuple):
        raise PickleError("a tensor in it is not as torch writes it")
    return construct(*arguments)


def _ordered(items: Any = ()) -> Inert:
    """An ordered dict, whose items come later, or, in old files, as a list of pairs."""
    content = Inert()
    content.update(items)
    return content


def _type_of_any(*arguments: Any) -> Any:
    """A numpy type of numbers, or an inert object for any other."""
    try:
        return NumberType(*arguments)
    except (PickleError, TypeError):
        return Inert(*arguments)


def _scalar(kind: Any, content: Any) -> Any:
    if isinstance(kind, Inert):
        return Inert()
    if not isinstance(kind, NumberType) or not isinstance(content, bytes):
        raise PickleError("a number in it is not as numpy writes it")
    return np.frombuffer(content, kind.dtype, count=1)[0].item()
