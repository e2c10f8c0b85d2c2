"""What the log of a run says of its present: workers alive, and how fast each stage goes."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...cluster.storage import Storage, StorageError
from ...workers.json_file import MOST_NOTE_BYTES, parse_json
from .journal import FOLDER, LINES_A_FILE, LINES_SUFFIX, WORKERS_SUFFIX

# The driver tells of its workers at least every half minute; two machines' clocks may differ.
PRESENT_SECONDS = 120.0
_WINDOW_SECONDS = 900.0
_FILES = 8
# A line is a few hundred bytes, and what a worker died of some thousands.
_MOST_LOG_BYTES = 2**23


@dataclass(frozen=True)
class Workers:
    """Workers of all drivers that have told of them in the last two minutes.

    ``out_of_use`` names the GPUs or nodes that get no more shards, as shards died there.
    """

    busy: int
    idle: int
    starting: int
    drivers: int
    out_of_use: tuple[str, ...] = ()


def workers_alive(storage: Storage) -> Workers:
    """How many workers the run has now, as its drivers say."""
    counts = {"busy": 0, "idle": 0, "starting": 0}
    drivers: set[tuple[str, int]] = set()
    out_of_use: set[str] = set()
    for name in storage.list_names(FOLDER):
        if not name.endswith(WORKERS_SUFFIX):
            continue
        try:
            state = parse_json(storage.read(f"{FOLDER}/{name}", MOST_NOTE_BYTES))
            if time.time() - state["time"] > PRESENT_SECONDS:
                continue
            found = {key: int(state[key]) for key in counts}
            driver = (str(state["host"]), int(state["pid"]))
            places = {str(place) for place in state.get("out_of_use", ())}
        except (StorageError, ValueError, KeyError, TypeError):
            # It has just ended, or is no driver's file.
            continue
        drivers.add(driver)
        out_of_use |= places
        counts = {key: counts[key] + found[key] for key in counts}
    return Workers(**counts, drivers=len(drivers), out_of_use=tuple(sorted(out_of_use)))


def recent_rates(storage: Storage) -> dict[str, float]:
    """Rows a second of all workers together, by stage, over the last quarter of an hour.

    Only of stages that have published something in that time.
    """
    cutoff = time.time() - _WINDOW_SECONDS
    ends: dict[str, list[tuple[float, float, int]]] = {}
    for line in _recent_lines(storage):
        try:
            end = datetime.fromisoformat(line["time"]).timestamp()
            if line["published"] and end > cutoff:
                seconds, rows = float(line["seconds"]), int(line["rows"])
                ends.setdefault(str(line["stage"]), []).append((end, seconds, rows))
        except (KeyError, ValueError, TypeError):
            continue
    rates = {}
    for stage, shards in ends.items():
        first = max(cutoff, min(end - seconds for end, seconds, _ in shards))
        span = max(end for end, _, _ in shards) - first
        if span > 0:
            rates[stage] = sum(rows for _, _, rows in shards) / span
    return rates


def _recent_lines(storage: Storage) -> list[dict[str, Any]]:
    """The lines of the last files, newest driver last; a file has 500 at most."""
    names = [name for name in storage.list_names(FOLDER) if name.endswith(LINES_SUFFIX)]
    lines = []
    for name in names[-_FILES:]:
        try:
            content = storage.read(f"{FOLDER}/{name}", _MOST_LOG_BYTES)
            first = content.split(b"\n", LINES_A_FILE)[:LINES_A_FILE]
            lines += [parse_json(line) for line in first if line]
        except (StorageError, ValueError):
            continue
    return [line for line in lines if isinstance(line, dict)]
