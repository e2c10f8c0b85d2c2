"""The list of a run's failed items, by error."""

from ..drive.quarantine import FailedItem
from ..report.plain_text import printable

_SHOWN = 5


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
