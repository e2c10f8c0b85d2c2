"""Whole audits, at whose processes, parts and store random faults come, to the end of the report.

Whatever happened, the rows and the summary are those of an undisturbed run, bit for bit. With
`pytest -s` it is printed what was done to each run, and how much of the work was repeated; with
`--log-cli-level=INFO` when.
"""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from offmanifold.cluster.locations import open_storage
from offmanifold.cluster.s3_settings import S3Settings

from ..object_store import BUCKET, Service
from .disturbed import (
    Disturbed,
    assert_unchanged,
    environment,
    fill_counting_folder,
    rows_generated,
    undisturbed_run,
)

# Each starts a Ray, and two cores are too few for two at once.
pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.slow]

# Of a call of the generator, of which there are some 2,200: so long that faults come while there is
# work, most of which is this sleep.
PAUSE = 0.04
AT_WORK = {
    "serial": {"driver killed": 2, "driver interrupted": 2, "driver stopped for seconds": 1},
    "ray": {
        "worker killed": 2,
        "worker stopped for seconds": 1,
        "worker frozen": 1,
        "driver killed": 1,
        "driver interrupted": 1,
        "driver stopped for seconds": 1,
        "raylet killed": 1,
        "GCS killed": 1,
        "agent killed": 1,
    },
}
OF_STORE = {
    "disk": {"part damaged": 3},
    "bucket": {"part damaged": 2, "service restarted": 2, "service held up": 1},
}
# At any moment of a run that has all of its parts: while they are checked, reduced and reported.
AT_THE_END = {
    "disk": ("driver killed", "part damaged", "driver interrupted", "driver killed"),
    "bucket": ("service restarted", "part damaged", "driver killed", "service held up"),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the audit, with its run, and with how many rows the generator made for it."""
    folder = tmp_path_factory.mktemp("undisturbed") / "audit"
    undisturbed_run(folder)
    return folder


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    (tmp_path / "service").mkdir()
    running = Service(tmp_path / "service")
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.mark.parametrize("place", OF_STORE)
@pytest.mark.parametrize("executor", AT_WORK)
def test_whatever_is_done_to_an_audit_its_rows_are_the_undisturbed_ones(
    undisturbed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    executor: str,
    place: str,
) -> None:
    folder = tmp_path / "audit"
    fill_counting_folder(folder)
    service: Service | None = None
    out = str(folder / "run")
    keys: dict[str, str] = {}
    if place == "bucket":
        service = request.getfixturevalue("service")
        service.store.use(monkeypatch)
        out, keys = f"s3://{BUCKET}/run", service.store.environment()
    storage = open_storage(out, S3Settings())
    randomness = random.Random(f"{executor} {place}")
    given = environment(folder, keys, PAUSE)
    run = Disturbed(folder, out, executor, storage, given, randomness, service)
    faults = [
        kind
        for kinds in (AT_WORK[executor], OF_STORE[place])
        for kind, times in kinds.items()
        for _ in range(times)
    ]
    randomness.shuffle(faults)
    try:
        for kind in faults:
            run.send_driver()
            run.wait_for_parts(randomness.randint(1, 4))
            while not run.disturb(kind) and not run.is_complete:
                run.send_driver()
                time.sleep(0.2)
        run.finish()
        began = time.monotonic()
        run.finish()
        whole = time.monotonic() - began
        for kind in AT_THE_END[place]:
            run.send_driver()
            time.sleep(randomness.uniform(0.3, 1.0) * whole)
            run.disturb(kind)
        # The last fault may have come after what it met was read for the last time.
        run.finish()
        run.finish()
    finally:
        run.end()
    repeated = rows_generated(folder / "counts") / rows_generated(undisturbed / "counts") - 1
    rows = assert_unchanged(out, undisturbed, folder)
    print(
        f"\n{executor}, {place}: {sum(run.faults.values())} faults ({dict(run.faults)}), "
        f"{run.drivers} drivers: {rows} rows, lost 0, doubled 0, changed 0; the generator made "
        f"{repeated:.0%} more images"
    )
    assert sum(run.faults.values()) >= len(faults)
