"""What Ray costs beside a run in one process, and what a second worker brings.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.ray_share [--shard-seconds 15] [--shards 4]

The same inversion of digits by `offmanifold run`: in one process, under Ray with one worker and
with two, each of one thread, and in two processes at once that know nothing of each other. Of each
way it prints, while the inversion's shards were computed,

- the processor time of all processes but the workers (the driver and Ray's), over the workers';
- the part of the workers' time by the clock in which they had no shard;
- images a second, by the clock, of all of them together.

The first two are shares within one run, so that a busy machine disturbs them little, and makes them
too high rather than too low: what waits uses time by the clock. Longer shards have smaller ones.
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

_IN_PROCESS = "cluster.executor=serial"
_RAY = "cluster.executor=ray"
# The settings of a run and its workers; the runs at once.
WAYS: Mapping[str, tuple[tuple[str, ...], int, int]] = {
    "in one process": ((_IN_PROCESS,), 1, 1),
    "Ray, 1 worker": ((_RAY, "cluster.workers=1"), 1, 1),
    "Ray, 2 workers": ((_RAY, "cluster.workers=2"), 2, 1),
    "two processes": ((_IN_PROCESS,), 1, 2),
}
# Enough that a fresh process has reached its speed.
_TRIED = 250
_POLL_SECONDS = 0.25


class Shards(NamedTuple):
    """When a run's inversions began and ended, and the seconds of all of its shards."""

    began: float
    ended: float
    seconds: float


class Run:
    """`offmanifold run` with so many shards, and the processor time of all that it starts."""

    def __init__(self, folder: Path, settings: tuple[str, ...], items: int, shards: int) -> None:
        self.out = folder / "run"
        folder.mkdir()
        file, images = folder / "audit.yaml", items * shards
        # More images than the data have: the digits, as often as it takes.
        groups = [
            {"name": f"train{start}", "role": "outlier", "dataset": "digits", "split": "train"}
            | {"count": min(500, images - start)}
            for start in range(0, images, 500)
        ]
        spec = {
            "name": "share",
            "generators": [{"name": "digits", "source": "shipped:digits"}],
            "groups": groups,
            "stages": {"inversion": {"shard_items": items, "bank": 0}},
        }
        file.write_text(yaml.safe_dump(spec))
        cli = str(Path(sys.executable).with_name("offmanifold"))
        command = [cli, "run", str(file), "--out", str(self.out)]
        for setting in ("cluster.device=cpu", *settings):
            command += ["--set", setting]
        self._said = folder / "said.log"
        with self._said.open("w") as said:
            self._process = subprocess.Popen(command, stderr=said, stdout=subprocess.DEVNULL)
        self._readings: list[tuple[float, dict[tuple[int, float], float]]] = []

    def read(self) -> bool:
        """Notes the processor seconds of each of its processes; False once it has ended."""
        if self._process.poll() is not None:
            if self._process.returncode:
                raise SystemExit(self._said.read_text())
            return False
        found: dict[tuple[int, float], float] = {}
        try:
            watched = psutil.Process(self._process.pid)
            for each in (watched, *watched.children(recursive=True)):
                times = each.cpu_times()
                found[each.pid, each.create_time()] = times.user + times.system
        except psutil.NoSuchProcess:
            return True
        self._readings.append((time.time(), found))
        return True

    def shards(self) -> Shards:
        """Of the inversion, by the run's log."""
        lines = [
            json.loads(line)
            for log in (self.out / "_log").glob("*.jsonl")
            for line in log.read_text().splitlines()
        ]
        mine = [line for line in lines if line.get("stage") == "inversion"]
        ends = [datetime.fromisoformat(line["time"]).timestamp() for line in mine]
        begun = [end - line["seconds"] for end, line in zip(ends, mine, strict=True)]
        return Shards(min(begun), max(ends), sum(line["seconds"] for line in mine))

    def processor(self, within: Shards) -> list[float]:
        """Seconds of each process while the shards were computed, the most first."""
        mine = [found for when, found in self._readings if within.began <= when <= within.ended]
        first, last = mine[0], mine[-1]
        return sorted((last[each] - first.get(each, 0.0) for each in last), reverse=True)


def main() -> None:
    """Finds how many images fill a shard, then tries each way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shard-seconds", type=float, default=15)
    parser.add_argument("--shards", type=int, default=4)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (tried,) = _ended([Run(folder / "tried", (_IN_PROCESS,), _TRIED, 1)])
        took = tried.processor(tried.shards())[0]
        items = max(1, round(_TRIED * args.shard_seconds / took))
        print(f"{args.shards} shards of {items} images", flush=True)
        for number, (way, (settings, workers, at_once)) in enumerate(WAYS.items()):
            places = [folder / f"{number}-{each}" for each in range(at_once)]
            each = args.shards // at_once
            runs = _ended([Run(place, settings, items, each) for place in places])
            print(f"{way}: {_line(runs, workers, items * each)}", flush=True)


def _ended(runs: list[Run]) -> list[Run]:
    going = runs
    while going:
        time.sleep(_POLL_SECONDS)
        going = [run for run in going if run.read()]
    return runs


def _line(runs: list[Run], workers: int, images: int) -> str:
    shards = [run.shards() for run in runs]
    clock = [each.ended - each.began for each in shards]
    processor = [run.processor(each) for run, each in zip(runs, shards, strict=True)]
    working = sum(sum(seconds[:workers]) for seconds in processor)
    beside = sum(sum(seconds[workers:]) for seconds in processor)
    idle = 1 - sum(each.seconds for each in shards) / (workers * sum(clock))
    rate = sum(images / seconds for seconds in clock)
    return (
        f"{100 * beside / working:.2f}% of the workers' {working:.1f} s of processor beside them, "
        f"without a shard {100 * idle:.2f}% of the time, {rate:.2f} images a second"
    )


if __name__ == "__main__":
    main()
