"""Reading a pickle for its tensors and plain values; nothing that it names is imported or called.

StyleGAN's networks are published as pickles that carry their source code, and run it when they are
opened; training scripts save settings of types of their own beside their weights. Here the few
constructors that tensors, arrays and containers need are replaced by checked ones of our own;
whatever else a pickle names becomes an `Inert` object that remembers what it was given.
"""

import io
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, NoReturn

import numpy as np
import torch

from .budget import Budget, require_plain_key
from .pickled_objects import (
    Array,
    Inert,
    Network,
    NumberType,
    PickledStorage,
    PickledTensor,
    PickleError,
)

# Of a whole number: what Python still shows.
_LONGEST_NUMBER = 1024
_LONGEST_REASON = 200
# A byte of the file may be a container, which takes two hundred, or a call: they cost accordingly.
_COSTS = {
    **dict.fromkeys(map(ord, "}])l(tdo"), 8),
    **{code[0]: 8 for code in (pickle.EMPTY_SET, pickle.FROZENSET, pickle.EMPTY_TUPLE)},
    **{code[0]: 8 for code in (pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3, pickle.BYTEARRAY8)},
    **{code[0]: 12 for code in (pickle.REDUCE, pickle.NEWOBJ, pickle.NEWOBJ_EX)},
    **{code[0]: 12 for code in (pickle.OBJ, pickle.INST, pickle.BINPERSID, pickle.PERSID)},
}
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


class _Counted(dict[int, Any]):
    """What a pickle's operations do, by their codes; looking one up costs what it may take."""

    def __init__(self, actions: Mapping[int, Any], budget: Budget) -> None:
        super().__init__(actions)
        self._budget = budget

    def __getitem__(self, code: int) -> Any:
        self._budget.take("operations", _COSTS.get(code, 1))
        if code not in self:
            raise PickleError(f"it has an operation that does not exist: {code}")
        return super().__getitem__(code)


class _Unpickler(pickle._Unpickler):
    """Knows no name but those given to it; every other one is inert.

    It is the library's own, in Python, because that one lets every operation be judged: a few bytes
    may ask for any amount of time or memory.
    """

    # The library's, which its types do not have.
    stack: list[Any]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]
    pop_mark: Callable[[], list[Any]]

    def __init__(
        self,
        stream: io.BytesIO,
        known: Mapping[str, Any],
        budget: Budget,
        encoding: str,
        storage_of: StorageOf,
    ) -> None:
        super().__init__(stream, encoding=encoding)
        self._known = known
        self._budget = budget
        self._inert: dict[str, type[Inert]] = {}
        self._storage_of = storage_of
        self.dispatch = _Counted(  # type: ignore[misc]
            {**pickle._Unpickler.dispatch, **_JUDGED}, budget
        )

    def call(self, function: Any, arguments: Any) -> Any:
        """What a pickle calls; longer arguments cost more."""
        if not isinstance(arguments, tuple):
            raise PickleError("the arguments of a call in it are not a tuple")
        self._budget.take("operations", len(arguments))
        return function(*arguments)

    def reduce(self) -> None:
        """A call of what lies below its arguments."""
        arguments = self.stack.pop()
        self.stack[-1] = self.call(self.stack[-1], arguments)

    def new_object(self) -> None:
        """An object of a type, which here is always one without behaviour."""
        arguments = self.stack.pop()
        self._make(self.stack.pop(), arguments)

    def new_object_with_names(self) -> None:
        """As `new_object`, with named arguments, which are left out."""
        self.stack.pop()
        self.new_object()

    def old_object(self) -> None:
        """As `new_object`, as protocol 1 says it."""
        kind, *arguments = self.pop_mark()
        self._make(kind, tuple(arguments))

    def old_named_object(self) -> None:
        """As `old_object`, with the type's name in the operation."""
        self._load_global()
        kind = self.stack.pop()
        self._make(kind, tuple(self.pop_mark()))

    def _load_global(self) -> None:
        pickle._Unpickler.dispatch[pickle.GLOBAL[0]](self)  # type: ignore[arg-type]

    def _make(self, kind: Any, arguments: Any) -> None:
        if not isinstance(kind, type) and not isinstance(kind, _Constructor):
            raise PickleError("it makes an object of what is no type")
        self.append(self.call(kind, arguments))

    def set_item(self) -> None:
        """One item of a container."""
        value, key = self.stack.pop(), self.stack.pop()
        self._set(self.stack[-1], [key, value])

    def set_items(self) -> None:
        """Items of a container."""
        items = self.pop_mark()
        self._set(self.stack[-1], items)

    def new_dict(self) -> None:
        """A dict with its items."""
        items = self.pop_mark()
        made: dict[Any, Any] = {}
        self._set(made, items)
        self.append(made)

    def _set(self, container: Any, items: list[Any]) -> None:
        if not isinstance(container, dict | list):
            raise PickleError("it sets items of what is no container")
        for key, value in zip(items[::2], items[1::2], strict=True):
            require_plain_key(key, self._budget)
            container[key] = value

    def add_items(self) -> None:
        """Members of a set."""
        members = self.pop_mark()
        if isinstance(self.stack[-1], set):
            self.stack[-1].update(self._members(members))

    def frozen_set(self) -> None:
        """A frozen set of its members."""
        self.append(frozenset(self._members(self.pop_mark())))

    def _members(self, members: list[Any]) -> list[Any]:
        for member in members:
            require_plain_key(member, self._budget)
        return members

    def long_number(self) -> None:
        """A whole number of any length; no longer than what can be shown and computed with."""
        size = int.from_bytes(self.read(4), "little")
        if size > _LONGEST_NUMBER:
            raise PickleError(f"a number in it has {size:,} bytes")
        self.append(pickle.decode_long(self.read(size)))

    def byte_array(self) -> None:
        """Bytes that can be changed; memory for them is taken once they are there."""
        size = int.from_bytes(self.read(8), "little")
        self.append(bytearray(self.read(size)))

    def find_class(self, module_name: str, name: str, /) -> Any:
        """What stands for a name; nothing is imported."""
        if module_name in ("torch", "torch.storage") and name in _STORAGE_TYPES:
            return _StorageKind(_STORAGE_TYPES[name])
        full_name = f"{module_name}.{name}"
        if full_name in self._known:
            return self._known[full_name]
        if full_name not in self._inert:
            self._budget.take("types", 1)
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


_JUDGED: dict[int, Callable[[_Unpickler], None]] = {
    pickle.REDUCE[0]: _Unpickler.reduce,
    pickle.NEWOBJ[0]: _Unpickler.new_object,
    pickle.NEWOBJ_EX[0]: _Unpickler.new_object_with_names,
    pickle.OBJ[0]: _Unpickler.old_object,
    pickle.INST[0]: _Unpickler.old_named_object,
    pickle.SETITEM[0]: _Unpickler.set_item,
    pickle.SETITEMS[0]: _Unpickler.set_items,
    pickle.DICT[0]: _Unpickler.new_dict,
    pickle.ADDITEMS[0]: _Unpickler.add_items,
    pickle.FROZENSET[0]: _Unpickler.frozen_set,
    pickle.LONG4[0]: _Unpickler.long_number,
    pickle.BYTEARRAY8[0]: _Unpickler.byte_array,
}


def read_pickle(content: bytes, encoding: str = "ASCII") -> Any:
    """What a pickle holds: plain values, `PickledTensor`s, `Network`s, `Array`s, `Inert` objects.

    ``encoding`` is that of Python 2's strings, or "bytes".

    Raises:
        PickleError: it is damaged, asks for what no checkpoint needs, or for far too much.
    """
    budget = Budget(len(content))
    return _load(io.BytesIO(content), _constructors(budget), budget, encoding)


def read_next_pickle(stream: io.BytesIO, budget: Budget, storage_of: StorageOf) -> Any:
    """What the next pickle in a torch file holds; the stream is left at its end.

    ``storage_of`` gives the storages that the pickle refers to; ``budget`` is the file's.

    Raises:
        PickleError: as `read_pickle`.
    """
    # Names and the like in numpy's arrays are left aside, as everything beside the tensors is.
    known = {**_constructors(budget), "numpy.dtype": _Constructor(_type_of_any)}
    return _load(stream, known, budget, "latin1", storage_of)


def _load(
    stream: io.BytesIO,
    known: Mapping[str, Any],
    budget: Budget,
    encoding: str = "ASCII",
    storage_of: StorageOf = _none_outside,
) -> Any:
    """The next pickle of a stream, which is left at its end."""
    unpickler: Any = _Unpickler(stream, known, budget, encoding, storage_of)
    try:
        return unpickler.load()
    except PickleError:
        raise
    except Exception as error:  # there is nothing that a damaged pickle might not do
        raise PickleError(f"{type(error).__name__}: {str(error)[:_LONGEST_REASON]}") from error


def _constructors(budget: Budget) -> dict[str, Any]:
    """What a pickle may build, by the name that it gives it."""

    def storage(content: Any) -> PickledStorage:
        if not isinstance(content, bytes):
            raise PickleError("a storage in it is not as torch writes it")
        budget.take("bytes in storages", len(content))
        return _storage(content, budget)

    def encoded(text: Any, encoding: Any = "latin1") -> bytes:
        """Bytes, as pickles of Python 2's protocols spell them."""
        if not isinstance(text, str) or encoding != "latin1":
            raise PickleError("bytes in it are not as Python writes them")
        budget.take("bytes in texts", len(text))
        return text.encode("latin1")

    def tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> PickledTensor:
        made = PickledTensor.of(storage, offset, shape, strides)
        budget.take("numbers in tensors", prod(made.shape))
        return made

    def ordered(items: Any = ()) -> Inert:
        """An ordered dict, whose items come later, or, in old files, as a list of pairs."""
        content = Inert()
        if not isinstance(items, list | tuple | dict):
            raise PickleError("an ordered dict in it is not as Python writes it")
        budget.take("operations", len(items))
        for key, value in items.items() if isinstance(items, dict) else items:
            require_plain_key(key, budget)
            content[key] = value
        return content

    constructors: dict[str, Callable[..., Any]] = {
        "torch._utils._rebuild_tensor_v2": tensor,
        "torch._utils._rebuild_tensor": tensor,
        "torch._utils._rebuild_parameter": _parameter,
        "torch._utils._rebuild_parameter_with_state": _parameter,
        "torch._tensor._rebuild_from_type_v2": _of_subclass,
        "collections.OrderedDict": ordered,
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


def _storage(content: bytes, budget: Budget) -> PickledStorage:
    """A storage in torch's format before version 1.6, which holds five pickles and the numbers."""
    stream = io.BytesIO(content)
    number = _load(stream, {}, budget)
    if number != _OLD_TORCH_NUMBER:
        raise PickleError("a storage in it is not as torch writes it")
    _load(stream, {}, budget)
    _load(stream, {}, budget)
    referred = _load(stream, {}, budget, storage_of=lambda reference: reference)
    keys = _load(stream, {}, budget)
    if not isinstance(referred, StorageReference) or keys != [referred.key]:
        raise PickleError("a storage in it does not hold one storage")
    numbers = content[stream.tell() + 8 :]
    return PickledStorage.of(numbers, referred.dtype, referred.length)


def _parameter(tensor: Any, *_: Any) -> PickledTensor:
    if not isinstance(tensor, PickledTensor):
        raise PickleError("a parameter in it is not a tensor")
    return tensor


def _of_subclass(construct: Any, _: Any, arguments: Any, *__: Any) -> Any:
    """A tensor of a subclass, or one with attributes, which are left out."""
    if not isinstance(construct, _Constructor) or not isinstance(arguments, tuple):
        raise PickleError("a tensor in it is not as torch writes it")
    return construct(*arguments)


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
