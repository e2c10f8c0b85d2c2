"""What Ray costs beside a run in one process, and what a second worker brings.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.ray_share [--shard-seconds 60] [--rounds 2]

The same inversion of digits, in shards of about a minute, by `offmanifold run`: in one process,
under Ray with one worker, and with two, each of one thread; in turn, as often as there are rounds.
Prints of every run the seconds of the stage by the clock, from its log, and the processor seconds
of the whole run and of all its processes, Ray's own included; then the ratios of the least of each.
Only an otherwise idle machine of two cores or more gives a ratio by the clock that means anything.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import psutil
import yaml

WAYS: Mapping[str, tuple[str, ...]] = {
    "in one process": ("cluster.executor=serial",),
    "Ray, 1 worker": ("cluster.executor=ray", "cluster.workers=1"),
    "Ray, 2 workers": ("cluster.executor=ray", "cluster.workers=2"),
}
SHARDS = 4
_TRIED = 40
_POLL_SECONDS = 0.5


class Took(NamedTuple):
    """A run's seconds: of its inversions by the clock, and of all its processes by processor."""

    clock: float
    processor: float


def main() -> None:
    """Finds how many images fill a shard, then times the three ways in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shard-seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tried = _run(Path(folder) / "tried", WAYS["in one process"], _TRIED, _TRIED)
        items = max(1, round(_TRIED * args.shard_seconds / tried.clock))
        print(f"{SHARDS} shards of {items} images", flush=True)
        found: dict[str, list[Took]] = {way: [] for way in WAYS}
        for number in range(args.rounds):
            for way, settings in WAYS.items():
                name = f"{number}-{len(settings)}-{settings[-1].rpartition('=')[2]}"
                took = _run(Path(folder) / name, settings, items, SHARDS * items)
                found[way].append(took)
                print(f"{way}: {took.clock:.1f} s, {took.processor:.1f} s of processor", flush=True)
    least = {way: Took(*map(min, zip(*runs, strict=True))) for way, runs in found.items()}
    alone, one, two = least.values()
    print(
        f"Ray with one worker over one process: {one.clock / alone.clock:.3f} by the clock, "
        f"{one.processor / alone.processor:.3f} by processor; one worker over two: "
        f"{one.clock / two.clock:.2f} by the clock"
    )


def _run(out: Path, settings: tuple[str, ...], shard_items: int, images: int) -> Took:
    # More images than the data have: the digits, as often as it takes.
    groups = [
        {"name": f"train{part}", "role": "outlier", "dataset": "digits", "split": "train"}
        | {"count": min(500, images - start)}
        for part, start in enumerate(range(0, images, 500))
    ]
    spec = {
        "name": "share",
        "generators": [{"name": "digits", "source": "shipped:digits"}],
        "groups": groups,
        "stages": {"inversion": {"shard_items": shard_items}},
    }
    file = out.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(spec))
    cli = str(Path(sys.executable).with_name("offmanifold"))
    command = [cli, "run", str(file), "--out", str(out)]
    for setting in ("cluster.device=cpu", *settings):
        command += ["--set", setting]
    processor = _processor_seconds(command, out.with_suffix(".log"))
    lines = [
        json.loads(line)
        for log in (out / "_log").glob("*.jsonl")
        for line in log.read_text().splitlines()
    ]
    mine = [line for line in lines if line.get("stage") == "inversion"]
    ends = [datetime.fromisoformat(line["time"]).timestamp() for line in mine]
    begun = [end - line["seconds"] for end, line in zip(ends, mine, strict=True)]
    return Took(max(ends) - min(begun), processor)


def _processor_seconds(command: list[str], log: Path) -> float:
    """Of a command and all that it starts, as far as they live half a second."""
    seconds: dict[tuple[int, float], float] = {}
    with (
        log.open("w") as said,
        subprocess.Popen(command, stderr=said, stdout=subprocess.DEVNULL) as process,
    ):
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            for each in [watched, *_children(watched)]:
                try:
                    times = each.cpu_times()
                    seconds[each.pid, each.create_time()] = times.user + times.system
                except psutil.NoSuchProcess:
                    continue
            time.sleep(_POLL_SECONDS)
        if process.returncode:
            raise SystemExit(log.read_text())
    return sum(seconds.values())


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


if __name__ == "__main__":
    main()
