"""``${NAME}`` in a spec's values: what the environment holds, when the spec is read."""

import re
from collections.abc import Mapping
from typing import Any

from .model import entry_name
from .plain_yaml import YamlError, parse_yaml

_OPENING = "${"
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^{}]*)?\}")


class FromVariable:
    """A number out of a variable, and its ``text``, for where text is wanted."""

    text: str


class _Whole(int, FromVariable):
    pass


class _Real(float, FromVariable):
    pass


class VariableError(ValueError):
    """A value names a variable that is not set, or not as ``${NAME}``; the message has the key."""


def substituted(content: Any, environment: Mapping[str, str]) -> Any:
    """Plain values with each ``${NAME}`` and ``${NAME:-default}`` in their text replaced.

    The default stands where the variable is unset or empty, as in a shell. A value that is one
    variable and nothing else may be a number, a truth value or null, as YAML reads these; inside
    of other text it is text. A number knows its text (`FromVariable`). What comes in is not looked
    through again.

    Raises:
        VariableError: a variable that is not set and has no default, or ``${`` with something else
            after it.
    """
    return _substituted(content, environment, ())


def _substituted(value: Any, environment: Mapping[str, str], at: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {
            key: _substituted(each, environment, (*at, str(key))) for key, each in value.items()
        }
    if isinstance(value, list):
        return [
            _substituted(each, environment, (*at, _entry(each, index)))
            for index, each in enumerate(value)
        ]
    if not isinstance(value, str) or _OPENING not in value:
        return value
    key = ".".join(at)
    strange = _VARIABLE.sub("", value)
    if _OPENING in strange:
        raise VariableError(
            f"{key}: {value!r}: expected ${{NAME}} or ${{NAME:-default}} after the dollar sign, a "
            "name being letters, digits and _"
        )

    def found(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        said = environment.get(name)
        if default is not None:
            return said or default[2:]
        if said is None:
            raise VariableError(
                f"{key}: the environment variable {name} is not set; set it (export {name}=…), or "
                f"write ${{{name}:-default}}"
            )
        return said

    text = _VARIABLE.sub(found, value)
    return _scalar(text) if _VARIABLE.fullmatch(value) else text


def _entry(value: Any, index: int) -> str:
    """How a key names an entry of a list: by its name, as ``--set`` does."""
    name = entry_name(value)
    return str(index) if name is None else str(name)


def _scalar(text: str) -> Any:
    """The number, truth value or null that a text is in YAML, else the text as it is."""
    if not text:
        return text
    try:
        value = parse_yaml(text)
    except YamlError:
        return text
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, int | float):
        return text
    number = _Whole(value) if isinstance(value, int) else _Real(value)
    number.text = text
    return number
