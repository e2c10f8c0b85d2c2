"""``extends:``: a spec that names another, a file or a preset, and says what differs from it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from .model import PathField, models_in

EXTENDS = "extends"
"""The key that names the spec which a spec is based on."""

Written = tuple[dict[str, Any], Path, str]
"""What a file says, where its relative paths count from, and which file it is, whatever it is
called."""

_BY_MODULE = ("source", "per_class", "checkpoints")


class InheritanceError(ValueError):
    """A spec cannot be based on what it extends; the message says why."""


def inherited(
    model: type[BaseModel],
    written: Written,
    read: Callable[[str, Path, str], Written],
    absolute: Callable[[str, Path], str],
) -> dict[str, Any]:
    """A spec's keys over those of what it extends.

    A mapping is merged key by key. A list takes the place of the other's, unless it is written as
    a mapping: that changes the entries of these names. Each relative path counts from the file
    that wrote it; without an ``extends`` they stay as they are.

    Args:
        model: of the spec, for which of its keys are paths.
        written: the spec.
        read: what a file or preset says that is named in a folder, by a spec called so.
        absolute: a path as of a folder.

    Raises:
        InheritanceError: a circle, or something that cannot be merged.
    """
    chain = [written]
    while (name := chain[-1][0].get(EXTENDS)) is not None:
        content, base, source = chain[-1]
        if not isinstance(name, str) or not name:
            raise InheritanceError(
                f"{source}: {EXTENDS}: expected the path of a spec or the name of a preset, "
                f"found {name!r:.80}"
            )
        found = read(name, base, source)
        known = [each[2] for each in chain]
        if found[2] in known:
            circle = " -> ".join([*known[known.index(found[2]) :], found[2]])
            raise InheritanceError(f"{source}: {EXTENDS}: specs extend each other: {circle}")
        chain.append(found)
    if len(chain) == 1:
        return _own(written[0])
    merged: dict[str, Any] = {}
    for content, base, source in reversed(chain):

        def place(path: str, base: Path = base) -> str:
            return absolute(path, base)

        placed = _placed([model], _own(content), place)
        merged = _merged(merged, placed, source, ())
    return merged


def _own(content: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key != EXTENDS}


def _merged(under: Any, over: Any, source: str, at: tuple[str, ...]) -> Any:
    if isinstance(under, dict) and isinstance(over, dict):
        both = dict(under)
        for key, value in over.items():
            both[key] = _merged(under.get(key), value, source, (*at, str(key)))
        return both
    if isinstance(under, list) and isinstance(over, dict):
        names = [each.get("name") if isinstance(each, dict) else None for each in under]
        strange = [str(name) for name in over if name not in names]
        if strange:
            has = ", ".join(str(name) for name in names if name is not None) or "none"
            raise InheritanceError(
                f"{source}: {'.'.join((*at, strange[0]))}: what it extends has no entry of that "
                f"name (names: {has}); a list, with - before each entry, takes the whole list's "
                "place"
            )
        return [
            _merged(each, over[name], source, (*at, str(name))) if name in over else each
            for name, each in zip(names, under, strict=True)
        ]
    return over


def _placed(models: list[type[BaseModel]], value: Any, place: Callable[[str], str]) -> Any:
    """A part of a spec, as it is written, with its paths placed; what is no mapping stays."""
    if not isinstance(value, dict):
        return value
    placed = dict(value)
    for model in models:
        for field, info in model.model_fields.items():
            key = info.alias or field
            if key not in value:
                continue
            marks = [mark for mark in info.metadata if isinstance(mark, PathField)]
            if isinstance(value[key], str):
                if any(not mark.is_name(value[key]) for mark in marks):
                    placed[key] = place(value[key])
            else:
                placed[key] = _inside(info.annotation, value[key], place)
    of_module = any("import_path" in model.model_fields for model in models)
    if of_module and not value.get("import_path") and any(value.get(key) for key in _BY_MODULE):
        # Its modules are beside the file that names them.
        placed["import_path"] = place(".")
    return placed


def _inside(annotation: Any, value: Any, place: Callable[[str], str]) -> Any:
    models = models_in(annotation)
    if not models:
        return value
    if isinstance(value, list):
        return [_placed(models, each, place) for each in value]
    if isinstance(value, dict) and _has_entries(annotation):
        return {name: _placed(models, each, place) for name, each in value.items()}
    return _placed(models, value, place)


def _has_entries(annotation: Any) -> bool:
    """Whether a mapping there is from names to entries: of a dictionary, or of a list."""
    if get_origin(annotation) in (dict, tuple):
        return True
    return any(map(_has_entries, get_args(annotation)))
