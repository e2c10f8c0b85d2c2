"""What failed in a run, and why: the quarantined items, gathered by their error."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...workers.runner import tracebacks_of
from ...workers.schema import STATUS_OK
from ..audits.registry import stages_of
from ..record.run_directory import RunDirectory
from ..spec.loading import SpecError

_KEYS = ("generator", "condition", "group", "image_id", "label", "status", "error")
_SHOWN = 5


@dataclass(frozen=True)
class FailedItem:
    """A row whose item has no values: its keys, its error, and where in the code it came up."""

    stage: str
    shard: str
    keys: dict[str, Any]
    traceback: str | None


def failed_items(run: RunDirectory, stage: str | None = None) -> Iterator[FailedItem]:
    """Every quarantined item of a run, or of one stage, in the order of stages and parts.

    Raises:
        SpecError: no run directory, or a stage that the run has not.
    """
    names = [each.name for each in stages_of(run.spec())]
    if stage is not None and stage not in names:
        raise SpecError(f"--stage {stage}: this run has the stages {', '.join(names)}")
    for name in names if stage is None else [stage]:
        shards = sorted(run.finished(name))
        for shard, part in zip(shards, run.each_part(name, shards, _KEYS), strict=True):
            tracebacks = tracebacks_of(part)
            for position, row in enumerate(part.to_pylist()):
                if row["status"] != STATUS_OK:
                    yield FailedItem(name, shard, row, tracebacks.get(position))


def errors_text(items: list[FailedItem]) -> str:
    """Each error once, with how many items it hit, some of them, and its traceback."""
    kinds: dict[tuple[str, str, str], list[FailedItem]] = {}
    for item in items:
        key = (item.stage, str(item.keys["error"]), item.traceback or "")
        kinds.setdefault(key, []).append(item)
    return "\n".join(
        _kind(stage, error, traceback, hit) for (stage, error, traceback), hit in kinds.items()
    )


def _kind(stage: str, error: str, traceback: str, hit: list[FailedItem]) -> str:
    lines = [f"{stage}: {len(hit)} {'item' if len(hit) == 1 else 'items'}: {error}"]
    lines += [f"  {_named(item)}" for item in hit[:_SHOWN]]
    if len(hit) > _SHOWN:
        lines.append(f"  and {len(hit) - _SHOWN} more")
    lines += [f"    {line}" for line in traceback.splitlines()]
    return printable("\n".join(lines)) + "\n"


def _named(item: FailedItem) -> str:
    keys = item.keys
    under = [f"generator {keys['generator']}"] if keys["generator"] is not None else []
    under += [f"condition {keys['condition']}"] if keys["condition"] is not None else []
    where = ", ".join([f"group {keys['group']}", *under])
    return f"{keys['image_id']} ({where}), shard {item.shard}: {keys['status']}"


def printable(text: str) -> str:
    """``text`` without what would steer a terminal: names and errors come from the data."""
    return "".join(
        character if character.isprintable() or character in "\n" else ascii(character)[1:-1]
        for character in text
    )
