"""The paths in a spec: the fields that are marked as such, wherever they lie in it."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from .model import PathField, SpecModel

Part = TypeVar("Part", bound=SpecModel)


def with_paths(part: Part, change: Callable[[str], str]) -> Part:
    """A part of a spec with each of its paths, and of the parts in it, changed."""
    changed: dict[str, Any] = {name: change(path) for name, path, _ in _own_paths(part)}
    for name, value in _inner_parts(part):
        if isinstance(value, tuple):
            changed[name] = tuple(with_paths(each, change) for each in value)
        elif isinstance(value, dict):
            changed[name] = {key: with_paths(each, change) for key, each in value.items()}
        else:
            changed[name] = with_paths(value, change)
    return part.model_copy(update=changed)


def paths_in(part: SpecModel) -> Iterator[tuple[str, PathField]]:
    """Each path in a part of a spec, or in the parts in it, with what its field says of it."""
    yield from ((path, field) for _, path, field in _own_paths(part))
    for _, value in _inner_parts(part):
        if isinstance(value, dict):
            value = tuple(value.values())
        for each in value if isinstance(value, tuple) else (value,):
            yield from paths_in(each)


def modules_in(part: SpecModel) -> Iterator[str]:
    """The dotted name of each user's module in a part of a spec, or in the parts in it."""
    source, folder = getattr(part, "source", None), getattr(part, "import_path", None)
    if source and folder:
        yield source.partition(":")[0]
    for _, value in _inner_parts(part):
        if isinstance(value, dict):
            value = tuple(value.values())
        for each in value if isinstance(value, tuple) else (value,):
            yield from modules_in(each)


def _own_paths(part: SpecModel) -> Iterator[tuple[str, str, PathField]]:
    for name, info in type(part).model_fields.items():
        value = getattr(part, name)
        for mark in info.metadata:
            if isinstance(mark, PathField) and isinstance(value, str) and not mark.is_name(value):
                yield name, value, mark


_Parts = SpecModel | tuple[SpecModel, ...] | dict[str, SpecModel]


def _inner_parts(part: SpecModel) -> Iterator[tuple[str, _Parts]]:
    for name in type(part).model_fields:
        value = getattr(part, name)
        inside = value.values() if isinstance(value, dict) else value
        first = next(iter(inside), None) if isinstance(value, tuple | dict) else value
        if isinstance(first, SpecModel):
            yield name, value
