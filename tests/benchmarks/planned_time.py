"""What `plan` says of a run's time and memory, beside what the run takes, stage by stage.

    python -m tests.benchmarks.planned_time SPEC [--set KEY=VALUE …] [--quick] [--processor]

SPEC is planned, then run into a temporary folder. With the serial executor a stage's seconds are
those of this process; with Ray they are the sum of its workers'. With ``--processor`` both are
seconds of the processor and not of the clock, in the plan too: on a machine that others use, that
is the fair comparison. It is for the serial executor alone, and on one thread. Memory is the most
that the process held during a stage.
"""

import argparse
import json
import os
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from offmanifold.cluster.locations import absolute
from offmanifold.jobs.audits.specs import load_spec
from offmanifold.jobs.commands.plan_table import Plan, planned
from offmanifold.jobs.drive.driver import run_audit
from offmanifold.jobs.drive.progress import Progress, StageProgress
from offmanifold.jobs.drive.quick import chosen_form


class Measured(Progress):
    """Seconds and peak memory of each stage of a run in this process."""

    def __init__(self, clock: str) -> None:
        super().__init__()
        self._clock = getattr(time, clock)
        self.seconds: dict[str, float] = {}
        self.memory: dict[str, int] = {}

    @contextmanager
    def stage(self, name: str, shards: int, items: int, done: int) -> Iterator[StageProgress]:
        """As the driver's, measured."""
        ended = threading.Event()
        thread = threading.Thread(target=self._watch, args=(name, ended), daemon=True)
        thread.start()
        begun = self._clock()
        try:
            with super().stage(name, shards, items, done) as shown:
                yield shown
        finally:
            self.seconds[name] = self._clock() - begun
            ended.set()
            thread.join()

    def _watch(self, name: str, ended: threading.Event) -> None:
        while True:
            self.memory[name] = max(self.memory.get(name, 0), resident())
            if ended.wait(0.05):
                return


def resident() -> int:
    """Bytes of main memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def worker_seconds(run: Path) -> dict[str, float]:
    """Seconds of all of a run's workers, by stage, as its log has them."""
    found: dict[str, float] = defaultdict(float)
    for path in run.glob("_log/*.jsonl"):
        for line in path.read_text().splitlines():
            attempt = json.loads(line)
            if "seconds" in attempt:
                found[attempt["stage"]] += attempt["seconds"]
    return found


def main() -> None:
    """Plans, runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spec")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--processor", action="store_true")
    options = parser.parse_args()
    overrides = (*options.overrides, *(["quick=true"] if options.quick else []))
    clock = "process_time" if options.processor else "perf_counter"
    begun = getattr(time, clock)()
    with patch("offmanifold.workers.timing.time.perf_counter", getattr(time, clock)):
        chosen = chosen_form(load_spec(options.spec, overrides))
        plan = planned(chosen.spec, (), chosen.speeds)
    planning = getattr(time, clock)() - begun
    measured = Measured(clock)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        begun = getattr(time, clock)()
        run_audit(chosen.spec, absolute(str(run)), measured)
        whole = getattr(time, clock)() - begun
        if chosen.spec.cluster.executor != "serial":
            measured.seconds = worker_seconds(run)
    report(plan, measured, planning, whole)


def report(plan: Plan, measured: Measured, planning: float, whole: float) -> None:
    """Prints a row for each stage."""
    print(f"load {os.getloadavg()[0]:.1f}; planning took {planning:.0f} s, the run {whole:.0f} s")
    print("stage | planned s | actual s | ratio to the middle | planned MiB | actual MiB")
    for stage in (*plan.estimate.stages, plan.estimate.total):
        is_total = stage is plan.estimate.total
        taken = whole if is_total else measured.seconds.get(stage.stage, 0.0)
        memory = max(measured.memory.values()) if is_total else measured.memory.get(stage.stage, 0)
        least, most = stage.seconds or (0.0, 0.0)
        middle = (least + most) / 2
        ratio = f"{taken / middle:.2f}" if middle else "-"
        planned_memory = (stage.memory or 0) / 2**20
        print(
            f"{stage.stage} | {least:.1f} to {most:.1f} | {taken:.1f} | {ratio} | "
            f"{planned_memory:.0f} | {memory / 2**20:.0f}"
        )
    if plan.estimate.elapsed is not None:
        print("elapsed, planned: {:.0f} to {:.0f} s".format(*plan.estimate.elapsed))


if __name__ == "__main__":
    main()
