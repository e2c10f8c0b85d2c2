"""``extends:``: a spec that names another, a file or a preset, and says what differs from it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from .model import NULL, PathField, entry_name, is_by_name, models_in

EXTENDS = "extends"
"""The key that names the spec which a spec is based on."""

Written = tuple[dict[str, Any], Path, str]
"""What a file says, where its relative paths count from, and which file it is, whatever it is
called."""

# What says which model a part of a spec is of, where it may be of several.
_CHOICE = "estimator"
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

    A mapping is merged key by key; one that chooses another ``estimator`` takes the other's place.
    A list does too, unless it is written as a mapping: that changes the entries of these names, and
    null removes an entry. Each relative path counts from the file that wrote it; without an
    ``extends`` they stay as they are.

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
    merged: dict[str, Any] | None = None
    for content, base, source in reversed(chain):

        def place(path: str, base: Path = base) -> str:
            return absolute(path, base)

        placed = _placed([model], _own(content), place)
        first = merged is None
        merged = placed if first else _merged(merged, placed, _Part((model,)), source, ())
    assert merged is not None, "a chain has a spec at least"
    return merged


def _own(content: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key != EXTENDS}


def _merged(under: Any, over: Any, part: "_Part", source: str, at: tuple[str, ...]) -> Any:
    """What ``over`` makes of ``under``, which is that part of a spec."""
    if isinstance(under, list) and isinstance(over, dict):
        over = {NULL if name is None else name: value for name, value in over.items()}
        names = [entry_name(each) for each in under]
        remedy = "; a list, with - before each entry, takes the whole list's place"
        _require_known(over, names, source, at, remedy)
        return [
            _merged(each, over[name], part.entry, source, (*at, str(name)))
            if name in over
            else each
            for name, each in zip(names, under, strict=True)
            if name not in over or over[name] is not None
        ]
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over
    if part.is_named:
        removed = [name for name, value in over.items() if value is None]
        _require_known(removed, list(under), source, at)
        kept = {name: value for name, value in under.items() if name not in removed}
        changed = {name: value for name, value in over.items() if name not in removed}
        return kept | {
            name: _merged(kept.get(name), value, part.entry, source, (*at, str(name)))
            for name, value in changed.items()
        }
    if part.is_chosen_anew(under, over):
        return over
    both = under | {
        key: _merged(under.get(key), value, part.of(key), source, (*at, str(key)))
        for key, value in over.items()
    }
    named, is_named = (any(each.get(key) for key in _BY_MODULE) for each in (under, both))
    if part.has_modules and named and not is_named and "import_path" not in over:
        # It was of the module that is no longer named.
        both.pop("import_path", None)
    return both


def _require_known(
    changed: Iterable[Any],
    names: Sequence[Any],
    source: str,
    at: tuple[str, ...],
    remedy: str = "",
) -> None:
    strange = [str(name) for name in changed if name not in names]
    if strange:
        has = ", ".join(str(name) for name in names if name is not None) or "none"
        raise InheritanceError(
            f"{source}: {'.'.join((*at, strange[0]))}: what it extends has no entry of that "
            f"name (names: {has}){remedy}"
        )


@dataclass(frozen=True)
class _Part:
    """What a part of a spec may be: one of these models, or by ``is_named`` a mapping of names."""

    models: tuple[type[BaseModel], ...]
    is_named: bool = False

    @property
    def entry(self) -> "_Part":
        """Each entry of a list or of a mapping of names."""
        return _Part(self.models)

    @property
    def has_modules(self) -> bool:
        """Whether it names a user's module."""
        return any("import_path" in model.model_fields for model in self.models)

    def of(self, key: Any) -> "_Part":
        """The part at a key."""
        for model in self.models:
            for field, info in model.model_fields.items():
                if key == (info.alias or field):
                    return _Part(tuple(models_in(info.annotation)), is_by_name(info.annotation))
        return _Part(())

    def is_chosen_anew(self, under: Mapping[str, Any], over: Mapping[str, Any]) -> bool:
        """Whether it is one of several models, and ``over`` of another than ``under``."""
        fields = [m.model_fields[_CHOICE] for m in self.models if _CHOICE in m.model_fields]
        if len(fields) < 2 or over.get(_CHOICE) is None:
            return False
        usual = next((field.default for field in fields if not field.is_required()), None)
        return bool(over[_CHOICE] != (under.get(_CHOICE) or usual))


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
