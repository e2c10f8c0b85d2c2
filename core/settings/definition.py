"""Reads a settings dataclass: its fields, their bounds and descriptions, and values out of others.

A field that an audit sets is ``Annotated`` with a description (`annotated_types.doc`) and perhaps
bounds (`annotated_types.Ge` and `Gt`). One without a description is no key of any spec.
"""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, TypeVar, get_args

from annotated_types import Ge, Gt

_Settings = TypeVar("_Settings")


@dataclass(frozen=True)
class Setting:
    """One setting: ``bounds`` are by name, as in ``{"ge": 1}``."""

    name: str
    annotation: Any
    default: Any
    bounds: Mapping[str, Any]
    description: str


def settings_in(definition: type) -> dict[str, Setting]:
    """What an audit sets of a method, by name, in the order of the fields.

    Raises:
        TypeError: not a dataclass, or a setting has no default or an unknown kind of bound.
    """
    found = {}
    for field in fields(definition):
        annotation, *notes = get_args(field.type) if _is_annotated(field.type) else (field.type,)
        words = [note.documentation for note in notes if hasattr(note, "documentation")]
        if not words:
            continue
        if field.default is MISSING:
            raise TypeError(f"{definition.__name__}.{field.name} has no default")
        bounds = [note for note in notes if not hasattr(note, "documentation")]
        unknown = [bound for bound in bounds if not isinstance(bound, Ge | Gt)]
        if unknown:
            raise TypeError(f"{definition.__name__}.{field.name} has {unknown}, not Ge or Gt")
        found[field.name] = Setting(
            field.name,
            annotation,
            field.default,
            {name: value for bound in bounds for name, value in asdict(bound).items()},
            " ".join(words),
        )
    return found


def setting_values(definition: type, holder: object) -> dict[str, Any]:
    """The settings of a method as ``holder`` has them in attributes of the same names."""
    return {name: getattr(holder, name) for name in settings_in(definition)}


def build_settings(definition: type[_Settings], values: Mapping[str, Any]) -> _Settings:
    """The settings of a method out of ``values``, which may have other keys too.

    Raises:
        KeyError: a setting is not there.
    """
    return definition(**{name: values[name] for name in settings_in(definition)})


def _is_annotated(annotation: Any) -> bool:
    return hasattr(annotation, "__metadata__")
