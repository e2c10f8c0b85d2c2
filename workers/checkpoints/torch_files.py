"""Torch's files, archives and those before version 1.6, read for what they hold; nothing runs."""

import io
import zipfile
from typing import Any

import torch

from ..npz_file import ZIP_DAMAGE
from .budget import Budget
from .pickled_objects import PickledStorage, PickleError, tensor_in
from .unpickler import StorageReference, read_next_pickle

_PICKLE, _ORDER = "data.pkl", "byteorder"
# A number of eight bytes before each storage of an old file: its length once more.
_LENGTH = 8
_DEEPEST = 8
# Of a state that a worker saved: a few for each tensor of a classifier.
_MOST_VALUES = 100_000


def read_archive(content: bytes) -> Any:
    """What an archive by ``torch.save`` holds, as `read_pickle` gives it.

    Raises:
        PickleError: it is damaged, or not such an archive.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _read_members(archive, len(content))
    except PickleError:
        raise
    except (*ZIP_DAMAGE, LookupError, ArithmeticError, OSError) as error:
        raise PickleError(str(error)) from error


def _read_members(archive: zipfile.ZipFile, size: int) -> Any:
    members = archive.infolist()
    if any(each.compress_type for each in members) or sum(m.file_size for m in members) > size:
        raise PickleError("its members are compressed or overlap, which torch does not write")
    names = archive.namelist()
    folders = [
        name.removesuffix(_PICKLE)
        for name in names
        if name.endswith(f"/{_PICKLE}") and name.count("/") == 1
    ]
    if len(folders) != 1:
        raise PickleError(f"an archive without one {_PICKLE}, which torch writes")
    folder = folders[0]
    if f"{folder}{_ORDER}" in names and archive.read(f"{folder}{_ORDER}") != b"little":
        raise PickleError("its numbers are in another order of bytes: save it on this machine")
    kept: dict[tuple[str, torch.dtype], PickledStorage] = {}
    left = [size]

    def storage_of(reference: StorageReference) -> PickledStorage:
        place = (reference.key, reference.dtype)
        if place not in kept:
            numbers = archive.read(f"{folder}data/{reference.key}")
            left[0] -= len(numbers)
            if left[0] < 0:
                raise PickleError("its storages are larger than the file")
            kept[place] = PickledStorage.of(numbers, reference.dtype, reference.length)
        return kept[place]

    pickled = io.BytesIO(archive.read(f"{folder}{_PICKLE}"))
    return read_next_pickle(pickled, Budget(size), storage_of)


def read_state(content: bytes) -> Any:
    """What an archive by ``torch.save`` holds of tensors and plain values, as they were saved.

    Raises:
        PickleError: it is damaged, or holds anything else.
    """
    return _saved(read_archive(content), _DEEPEST, [_MOST_VALUES])


def _saved(value: Any, depth: int, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0:
        raise PickleError(f"it holds more than {_MOST_VALUES:,} values")
    tensor = tensor_in(value)
    if tensor is not None:
        return tensor
    if depth == 0:
        raise PickleError("it is nested too deeply")
    if isinstance(value, dict):
        return {key: _saved(inner, depth - 1, left) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_saved(inner, depth - 1, left) for inner in value]
    if not isinstance(value, str | int | float | None):
        raise PickleError(f"it holds a value of type {type(value).__name__}")
    return value


def read_old_file(content: bytes) -> Any:
    """What a file by ``torch.save`` before version 1.6 holds, as `read_pickle` gives it.

    Three pickles of constants, one of content, one of the storages' keys, then their numbers.

    Raises:
        PickleError: it is damaged.
    """
    stream, budget = io.BytesIO(content), Budget(len(content))
    made: dict[str, PickledStorage] = {}
    left = [len(content)]

    def storage_of(reference: StorageReference) -> PickledStorage:
        if reference.key not in made:
            left[0] -= reference.length * reference.dtype.itemsize
            if left[0] < 0:
                raise PickleError("its storages are larger than the file")
            made[reference.key] = PickledStorage(
                torch.zeros(reference.length, dtype=reference.dtype)
            )
        whole = made[reference.key]
        if reference.view is None:
            return whole
        if not _is_view(reference.view):
            raise PickleError("a view of a storage in it is not as torch writes it")
        _, offset, length = reference.view
        return PickledStorage(whole.numbers[offset : offset + length])

    for _ in range(3):
        read_next_pickle(stream, budget, storage_of)
    holds = read_next_pickle(stream, budget, storage_of)
    keys = read_next_pickle(stream, budget, storage_of)
    is_listed = isinstance(keys, list) and all(isinstance(key, str | int) for key in keys)
    named = [str(key) for key in keys] if is_listed else []
    if sorted(named) != sorted(made):
        raise PickleError("the storages at its end are not those of its tensors")
    for key in named:
        numbers = made[key].numbers
        stream.seek(_LENGTH, io.SEEK_CUR)
        read = stream.read(numbers.nbytes)
        # The views that are in the content already are of these numbers.
        numbers.copy_(PickledStorage.of(read, numbers.dtype, len(numbers)).numbers)
    return holds


def _is_view(view: Any) -> bool:
    """Whether it is (key, offset, length)."""
    return (
        isinstance(view, tuple)
        and len(view) == 3
        and all(type(number) is int and number >= 0 for number in view[1:])
    )
