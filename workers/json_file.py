"""JSON that others may have written: values as they are meant, or a refusal; never a long wait."""

import json
import re
from collections import Counter
from typing import Any, NoReturn

# Of a file of a run: the classes of ten million images, which its facts hold, take less, and what
# else it holds is little.
MOST_BYTES = 2**26
MOST_NESTED = 2**16
# A value takes far more memory than its text, and its text may be two bytes. Twice what the classes
# of a hundred thousand images, or the parts of such a run, take.
MOST_VALUES = 2**19
# Names of parts, which a run of ten million images may have as many of as fit into such a file.
MOST_NAMES = 2**21
# Of a file that says of a driver or its workers that they are there.
MOST_NOTE_BYTES = 2**16
# Of a file of settings beside a network's weights.
MOST_SETTINGS_BYTES = 2**20

_LARGEST_NUMBER = 2**63
_LONGEST_REASON = 200
# Shorter ones have 64 bits at most.
_LONG_NUMBER = re.compile(rb"\d{19}")


class JsonError(ValueError):
    """Text is not JSON, or JSON of no sensible form; the message says in which way."""


def parse_json(
    content: bytes, most_nested: int = MOST_NESTED, most_values: int = MOST_VALUES
) -> Any:
    """The value in a JSON text.

    Args:
        content: the text.
        most_nested: how many lists and mappings it may hold, each of which takes far more memory
            than its text.
        most_values: how many values it may hold; commas in texts count as such.

    Raises:
        JsonError: not JSON in UTF-8; nested some hundred times; with a number beyond 64 bits or
            not finite, with one key twice in a mapping, or of more values, lists or mappings.
    """
    if content.count(b",") >= most_values:
        raise JsonError(f"it holds more than {most_values:,} values")
    if content.count(b"[") + content.count(b"{") > most_nested:
        raise JsonError(f"it holds more than {most_nested:,} lists and mappings")
    try:
        return json.loads(
            # Windows programs begin their files with a byte order mark.
            content.decode("utf-8-sig"),
            # Asked of every number, it takes longer than all the rest.
            parse_int=_whole if _LONG_NUMBER.search(content) else None,
            parse_float=_finite,
            parse_constant=_no_number,
            object_pairs_hook=_once,
        )
    except JsonError:
        raise
    except RecursionError as error:
        raise JsonError("it is nested too deeply") from error
    except ValueError as error:
        raise JsonError(str(error)[:_LONGEST_REASON]) from error


def _whole(text: str) -> int:
    # Most numbers are short; a long one is not made a number before its length is looked at.
    if len(text) > 20 or abs(int(text)) >= _LARGEST_NUMBER:
        raise JsonError(f"the number {_brief(text)} is too large: at most 64 bits")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise JsonError(f"the number {_brief(text)} is too large")
    return number


def _no_number(text: str) -> NoReturn:
    raise JsonError(f"{text} is no finite number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise JsonError(f"the key {_brief(twice)!r} is there twice")
    return found


def _brief(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."
