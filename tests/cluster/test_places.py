"""A GPU, or a node, where shard after shard dies: it gets no more, and no item is lost to it."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import ray
from offmanifold.cluster.broken_worker import BrokenWorkerError
from offmanifold.cluster.executor import Schedule, Task
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.cluster.observer import Attempt
from offmanifold.cluster.places import Place, Places
from offmanifold.cluster.ray_executor import RayExecutor
from offmanifold.cluster.ray_session import ray_session
from offmanifold.cluster.resources import WorkerResources

# Each starts a Ray, and two cores are too few for two at once.
pytestmark = pytest.mark.xdist_group("ray")

HERE = Path(__file__).parent
BAD, GOOD = Place("n", "host", ("0",)), Place("n", "host", ("1",))
BOTH = {BAD, GOOD}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_place_is_named_for_people() -> None:
    assert str(BAD) == "GPU 0 of host"
    assert str(Place("n", "host", ("1", "3"))) == "GPU 1, 3 of host"
    assert str(Place("n", "host")) == "host"


def test_three_shards_in_a_row_put_a_place_out_of_use_for_longer_each_time() -> None:
    clock = Clock()
    places = Places(clock)
    for shard in ("a", "b", "b"):
        places.died(BAD, shard, "ECC")
    assert places.out_of_use(BOTH) == set()
    places.died(BAD, "c", "ECC")
    assert places.out_of_use(BOTH) == {BAD}
    clock.now = 301
    assert places.out_of_use(BOTH) == set()
    places.died(BAD, "d", "ECC")
    clock.now += 599
    assert places.out_of_use(BOTH) == {BAD}
    clock.now += 2
    assert places.out_of_use(BOTH) == set()


def test_one_shard_that_dies_again_and_again_speaks_against_itself() -> None:
    places = Places()
    places.finished(BAD, "z", whole=True)
    for _ in range(20):
        places.died(BAD, "a", "a crash")
        assert not places.doubted(BAD, "a", BOTH)
    assert places.out_of_use(BOTH) == set()


def test_what_is_finished_between_clears_a_place() -> None:
    places = Places()
    for shard in "abcdef":
        places.died(BAD, shard, "ECC")
        places.finished(BAD, "z", whole=False)
    assert places.out_of_use(BOTH) == set()


def test_the_last_place_is_used_whatever_dies_there() -> None:
    places = Places()
    for shard in "abcd":
        assert places.doubted(BAD, shard, set()) is False
        places.died(BAD, shard, "ECC")
    assert places.out_of_use({BAD}) == set()
    for shard in "abcd":
        places.died(GOOD, shard, "ECC")
    assert places.out_of_use(BOTH) == set()
    assert places.suits(BAD, "a", BOTH)


def test_a_shard_goes_where_it_has_not_died() -> None:
    places = Places()
    schedule = Schedule([Task("a", None, 1), Task("b", None, 1)], 2)
    first = schedule.next()
    assert first is not None
    places.died(BAD, "a", "ECC")
    schedule.died(first, "ECC")

    def suited(place: Place) -> Any:
        return schedule.next(lambda step: places.suits(place, step.task.id, BOTH))

    assert suited(BAD).task.id == "b"
    assert suited(BAD) is None
    assert suited(GOOD).task.id == "a"


def test_a_shard_that_died_at_two_sound_places_waits_for_no_third() -> None:
    places, third = Places(), Place("n", "host", ("2",))
    all_three = {*BOTH, third}
    for place in all_three:
        places.finished(place, "z", whole=True)
    places.died(BAD, "a", "ECC")
    # It may have broken just then, and would take the shard's attempts.
    assert not places.suits(BAD, "a", all_three)
    places.died(GOOD, "a", "a crash")
    assert places.suits(BAD, "a", all_three)
    # Another one that dies there as well speaks against the place.
    places.died(BAD, "b", "ECC")
    for shard in "ab":
        assert not places.suits(BAD, shard, all_three)
        assert places.suits(third, shard, all_three)


class Recorder:
    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.out: list[Sequence[str]] = []

    def attempted(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)

    def workers(self, busy: int, idle: int, starting: int) -> None:
        """Nothing to note."""

    def out_of_use(self, places: Sequence[str]) -> None:
        self.out.append(places)


@pytest.fixture(scope="module")
def three_gpus(home: Path) -> Iterator[None]:
    """A real local Ray that is told of three GPUs: it places workers by them, and numbers them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        patch.setenv("HOME", str(home))
        patch.setattr(ray, "init", functools.partial(ray.init, num_gpus=3))
        with ray_session(None, WorkerResources(workers=3)):
            yield


def executor() -> RayExecutor:
    resources = WorkerResources(workers=3, cpus_per_worker=1, gpus_per_worker=1)
    return RayExecutor(resources, import_paths=[HERE])


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.usefixtures("three_gpus")
def test_a_gpu_that_kills_every_worker_costs_no_row(tmp_path: Path, caplog: Any) -> None:
    from shards import Factory, rows_of, task

    storage, recorder = LocalStorage.create(tmp_path / "run"), Recorder()
    # A single item that died twice anywhere would be lost. There are more than the other two do
    # while a third worker starts on the bad one.
    tasks = [task(f"{i:02d}", i, 1, bad_gpus=("1",), seconds=0.5) for i in range(48)]
    executor().run(tasks, Factory(storage.root), lambda _: None, recorder)
    assert rows_of(storage) == dict.fromkeys(range(48), "ok")
    died = [attempt for attempt in recorder.attempts if attempt.error is not None]
    assert len(died) == 3
    (told,) = recorder.out
    assert told[0].startswith("GPU 1 of ")
    assert "work died there 3 times in a row" in caplog.text


@pytest.mark.slow
def test_workers_on_cpus_leave_gpus_theirs_on_unequal_nodes(tmp_path: Path, home: Path) -> None:
    command = [sys.executable, str(HERE / "unequal_nodes.py"), str(tmp_path / "run")]
    # On a busy machine a node takes longer than the half minute that Ray waits for.
    waits = {"RAY_AUTH_MODE": "disabled", "RAY_raylet_start_wait_time_s": "120"}
    environment = {**os.environ, "HOME": str(home), **waits}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    on_cpus, on_gpus = map(json.loads, done.stdout.splitlines()[-2:])
    assert on_cpus == ["roomy"] * 3
    assert on_gpus == ["full"] * 3 + ["roomy"]


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.usefixtures("three_gpus")
@pytest.mark.parametrize("bad", [("2",), ("0", "1", "2")])
def test_a_gpu_where_no_worker_starts_ends_a_run_only_if_all_are(
    tmp_path: Path, bad: tuple[str, ...]
) -> None:
    from shards import Factory, rows_of, task

    storage = LocalStorage.create(tmp_path / "run")
    tasks = [task(f"{i:02d}", i, 1, seconds=0.5) for i in range(12)]
    factory = Factory(storage.root, bad_gpus=bad)
    if len(bad) == 3:
        with pytest.raises(BrokenWorkerError, match="fallen off the bus"):
            executor().run(tasks, factory, lambda _: None)
        return
    executor().run(tasks, factory, lambda _: None)
    assert rows_of(storage) == dict.fromkeys(range(12), "ok")
