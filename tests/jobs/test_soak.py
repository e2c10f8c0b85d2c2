"""An audit under Ray for an hour, with faults all the while and ten drivers that end in its midst.

Its generator sleeps, so that the hour costs little of a machine. `pytest -s` prints what was done,
and what the drivers took.
"""

import random
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from offmanifold.cluster.locations import open_storage
from offmanifold.cluster.s3_settings import S3Settings

from .disturbed import (
    Disturbed,
    assert_unchanged,
    environment,
    fill_counting_folder,
    rows_generated,
    undisturbed_run,
)

# It starts a Ray, and two cores are too few for two at once.
pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.slow]

SECONDS = 3600.0
RESTARTS = 10
# The ten come in the first two thirds, so that one driver works for the last third.
SHARE_WITH_RESTARTS = 2 / 3
# Of a call of the generator. Two workers can do no more than 7,200 of them in an hour: with so
# many images there are some 10,000.
PAUSE = 1.0
IMAGES = 30
FAULT_SECONDS = 60.0
FAULTS = (
    "worker killed",
    "worker stopped for seconds",
    "worker frozen",
    "part damaged",
    "driver stopped for seconds",
)
ENDINGS = ("driver killed", "driver interrupted")
# Until a driver has planned, started its Ray and read every part.
SETTLED_SECONDS = 120.0
LEAST_SAMPLES = 60
MOST_GROWTH_BYTES = 32 * 2**20
MOST_MORE_FILES = 8


@dataclass(frozen=True)
class Sample:
    """What a driver had at one moment: which it was, since when, its memory and its open files."""

    driver: int
    seconds: float
    memory: int
    files: int


@dataclass(frozen=True)
class Growth:
    """From the first to the last third of a settled driver's time, which took so long."""

    seconds: float
    memory: float
    files: float


class Watch:
    """Samples of all drivers."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._since: dict[int, float] = {}

    def look(self, run: Disturbed) -> None:
        """At the driver that is at work, if there is one."""
        process = run.process
        if process is None:
            return
        began = self._since.setdefault(run.drivers, time.monotonic())
        try:
            memory, files = process.memory_info().rss, process.num_fds()
        except psutil.NoSuchProcess:
            return
        self.samples.append(Sample(run.drivers, time.monotonic() - began, memory, files))

    def growths(self) -> list[Growth]:
        """Of each driver that worked for long enough."""
        found = []
        for driver in self._since:
            settled = [
                each
                for each in self.samples
                if each.driver == driver and each.seconds > SETTLED_SECONDS
            ]
            if len(settled) < LEAST_SAMPLES:
                continue
            third = len(settled) // 3
            first, last = settled[:third], settled[-third:]
            found.append(
                Growth(
                    settled[-1].seconds - settled[0].seconds,
                    median_memory(last) - median_memory(first),
                    statistics.median(each.files for each in last)
                    - statistics.median(each.files for each in first),
                )
            )
        return found


def median_memory(samples: list[Sample]) -> float:
    return statistics.median(each.memory for each in samples)


def soak(run: Disturbed, randomness: random.Random, seconds: float) -> Watch:
    """Faults at random moments, and the drivers' endings at regular ones, for so long."""
    watch, began = Watch(), time.monotonic()
    endings = [seconds * SHARE_WITH_RESTARTS * n / RESTARTS for n in range(1, RESTARTS + 1)]
    for restart, end in enumerate([*endings, seconds]):
        next_fault = time.monotonic() + randomness.uniform(0.5, 1.5) * FAULT_SECONDS
        while time.monotonic() - began < end:
            run.send_driver()
            time.sleep(1.0)
            watch.look(run)
            if time.monotonic() > next_fault:
                run.disturb(randomness.choice(FAULTS))
                next_fault = time.monotonic() + randomness.uniform(0.5, 1.5) * FAULT_SECONDS
        if restart < RESTARTS:
            run.disturb(ENDINGS[restart % len(ENDINGS)])
    assert not run.is_complete, "there was work for all of the time"
    return watch


def test_an_audit_under_faults_takes_no_more_memory_and_files_with_time(tmp_path: Path) -> None:
    expected, folder = tmp_path / "undisturbed", tmp_path / "audit"
    undisturbed_run(expected, IMAGES)
    fill_counting_folder(folder, IMAGES)
    out, randomness = str(folder / "run"), random.Random(0)
    run = Disturbed(
        *(folder, out, "ray", open_storage(out, S3Settings())),
        environment(folder, {}, PAUSE),
        randomness,
    )
    try:
        watch = soak(run, randomness, SECONDS)
        drivers = run.drivers
        run.hurry()
        run.finish()
        # The last fault may have come after what it met was read for the last time.
        run.finish()
    finally:
        run.end()
    rows = assert_unchanged(out, expected, folder)
    repeated = rows_generated(folder / "counts") / rows_generated(expected / "counts") - 1
    growths = watch.growths()
    print(
        f"\n{SECONDS / 60:.0f} minutes, {sum(run.faults.values())} faults ({dict(run.faults)}), "
        f"{drivers} drivers: {rows} rows, lost 0, doubled 0, changed 0; the generator made "
        f"{repeated:.0%} more images. A driver had at most "
        f"{max(each.memory for each in watch.samples) / 2**20:.0f} MiB and "
        f"{max(each.files for each in watch.samples)} open files. Growth of each:"
    )
    for each in growths:
        print(
            f"  over {each.seconds:.0f} s {each.memory / 2**20:+.1f} MiB, {each.files:+.0f} files"
        )
    assert run.faults["driver killed"] + run.faults["driver interrupted"] >= RESTARTS
    assert max(each.memory for each in growths) < MOST_GROWTH_BYTES
    assert max(each.files for each in growths) <= MOST_MORE_FILES
