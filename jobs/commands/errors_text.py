"""The list of a run's failed items, by kind of error."""

import re

from ..drive.quarantine import FailedItem
from ..report.plain_text import printable

_SHOWN = 3
# Of a message that somebody's code made, however long, so much tells its kind.
_TOLD = 500
# What messages of one kind differ in: what is quoted, paths, hashes and numbers.
_OWN = re.compile(r"'[^']*'|\"[^\"]*\"|\S*/\S+|\b[0-9a-f]{8,}\b|[-+]?\d[\d.,]*(?:e[-+]?\d+)?", re.I)


def errors_text(items: list[FailedItem]) -> str:
    """Each kind of error once, with how many items it hit, a few of them, and one's traceback.

    Errors are of a kind that come up in the same place of the code, and whose messages differ in
    names, paths and numbers alone.
    """
    kinds: dict[tuple[str, str, tuple[str, ...]], list[FailedItem]] = {}
    for item in items:
        kinds.setdefault((item.stage, kind_of(_error(item)), _places(item)), []).append(item)
    return "\n".join(_kind(stage, hit) for (stage, *_), hit in kinds.items())


def kind_of(error: str) -> str:
    """The beginning of a message, without what is an item's own."""
    return _OWN.sub("\N{HORIZONTAL ELLIPSIS}", error[:_TOLD])


def _error(item: FailedItem) -> str:
    return str(item.keys["error"])


def _places(item: FailedItem) -> tuple[str, ...]:
    """The lines of a traceback that say where in the code it came up."""
    lines = (item.traceback or "").splitlines()
    return tuple(line for line in lines if line.lstrip().startswith('File "'))


def _kind(stage: str, hit: list[FailedItem]) -> str:
    messages = dict.fromkeys(_error(item) for item in hit)
    count = f"{stage}: {len(hit):,} {'item' if len(hit) == 1 else 'items'}"
    if len(messages) == 1:
        lines = [f"{count}: {_error(hit[0])}"]
        lines += [f"  {_named(item)}" for item in hit[:_SHOWN]]
    else:
        lines = [f"{count}, with {len(messages):,} messages of one kind: {kind_of(_error(hit[0]))}"]
        for item in hit[:_SHOWN]:
            lines += [f"  {_named(item)}", f"    {_error(item)}"]
    if len(hit) > _SHOWN:
        lines.append(f"  and {len(hit) - _SHOWN:,} more")
    lines += [f"    {line}" for line in (hit[0].traceback or "").splitlines()]
    return printable("\n".join(lines)) + "\n"


def _named(item: FailedItem) -> str:
    keys = item.keys
    under = [f"generator {keys['generator']}"] if keys["generator"] is not None else []
    under += [f"condition {keys['condition']}"] if keys["condition"] is not None else []
    where = ", ".join([f"group {keys['group']}", *under])
    return f"{keys['image_id']} ({where}), shard {item.shard}: {keys['status']}"
