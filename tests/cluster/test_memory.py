"""The host's memory runs short: Ray ends workers, and neither the run nor an innocent item."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.cluster.observer import Attempt
from offmanifold.cluster.patience import Patience
from offmanifold.cluster.ray_executor import RayExecutor
from offmanifold.cluster.ray_session import ray_session
from offmanifold.cluster.resources import WorkerResources

HERE = Path(__file__).parent
ROOM = 3 * 2**30
NEEDED = 9 * 2**30

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        psutil.virtual_memory().available < NEEDED, reason="needs 9 GiB of free memory"
    ),
]


@pytest.fixture(autouse=True)
def narrow_ray(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A local Ray whose monitor ends workers once 3 GiB more are taken than now."""
    memory = psutil.virtual_memory()
    threshold = (memory.total - memory.available + ROOM) / memory.total
    monkeypatch.setenv("RAY_memory_usage_threshold", str(threshold))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(sys, "path", [str(HERE), *sys.path])
    with ray_session(None, WorkerResources(workers=2)):
        yield


class Deaths:
    """The steps whose worker died, by shard and items."""

    def __init__(self) -> None:
        self.found: list[tuple[str, Any, str]] = []

    def attempted(self, attempt: Attempt) -> None:
        if attempt.error is not None:
            self.found.append((attempt.task_id, attempt.span, attempt.error))

    def workers(self, busy: int, idle: int, starting: int) -> None:
        """Nothing to note."""

    def out_of_use(self, places: Sequence[str]) -> None:
        """Nothing to note."""


def run(storage: LocalStorage, tasks: list[Any]) -> Deaths:
    from shards import Factory

    deaths = Deaths()
    resources = WorkerResources(workers=2, cpus_per_worker=1)
    patience = Patience(memory_seconds=0.25)
    executor = RayExecutor(resources, import_paths=[HERE], patience=patience)
    executor.run(tasks, Factory(storage.root), lambda _: None, deaths)
    return deaths


def test_an_item_that_takes_all_memory_ends_as_a_failed_row_and_alone(tmp_path: Path) -> None:
    from shards import rows_of, task

    storage = LocalStorage.create(tmp_path / "run")
    tasks = [task("eater", 0, 2, eats=(1,))]
    tasks += [task(f"{first}", first, 4, seconds=0.2) for first in range(2, 42, 4)]
    deaths = run(storage, tasks)
    rows = rows_of(storage)
    assert sorted(rows) == list(range(42))
    failed = {item: status for item, status in rows.items() if status != "ok"}
    assert list(failed) == [1]
    assert "killed due to the node running low on memory" in failed[1]
    # Without Ray's account of every process of the node.
    assert len(failed[1]) < 500
    alone = [span for name, span, _ in deaths.found if name == "eater" and span == (1, 2)]
    # Three pardoned deaths, and two that count.
    assert len(alone) == 5


def test_a_lack_of_memory_that_passes_costs_no_item(tmp_path: Path) -> None:
    from shards import rows_of, task

    storage = LocalStorage.create(tmp_path / "run")
    tasks = [task(f"{first}", first, 2, seconds=0.5) for first in range(0, 40, 2)]
    code = f"import time; time.sleep(5); import shards; shards.eat({ROOM + 2 * 2**30})"
    with subprocess.Popen([sys.executable, "-c", code], cwd=HERE):
        deaths = run(storage, tasks)
    assert deaths.found
    assert all("low on memory" in error for _, _, error in deaths.found)
    assert rows_of(storage) == dict.fromkeys(range(40), "ok")
