import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from offmanifold.cluster.executor import WorkerDiedError
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.cluster.patience import Patience
from offmanifold.cluster.ray_errors import ClusterError
from offmanifold.cluster.ray_executor import RayExecutor
from offmanifold.cluster.resources import WorkerResources
from offmanifold.cluster.serial_executor import SerialExecutor
from offmanifold.cluster.storage import StorageError

# Each starts a Ray, and two cores are too few for two at once.
pytestmark = pytest.mark.xdist_group("ray")

HERE = Path(__file__).parent


@pytest.fixture(scope="module", autouse=True)
def shards_importable():
    sys.path.insert(0, str(HERE))
    yield
    sys.path.remove(str(HERE))


@pytest.fixture
def storage(tmp_path):
    return LocalStorage.create(tmp_path / "run")


def ray_executor(workers=2, **settings):
    resources = WorkerResources(workers=workers, cpus_per_worker=1)
    return RayExecutor(resources, import_paths=[HERE], **settings)


@pytest.fixture
def interruptible():
    """A shell's background jobs, and so perhaps these tests, ignore interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(params=["serial", "ray"])
def executor(request):
    if request.param == "serial":
        return SerialExecutor()
    request.getfixturevalue("local_ray")
    return ray_executor()


def run(executor, storage, tasks, **factory):
    from shards import Factory

    reports: list[Any] = []
    executor.run(tasks, Factory(storage.root, **factory), reports.append)
    return {report.task_id: report for report in reports}


def three_tasks():
    from shards import task

    return [task("a", 0, 4), task("b", 4, 3), task("c", 7, 1)]


class TestEveryExecutor:
    def test_every_task_is_reported_and_published_once(self, executor, storage):
        from shards import rows_of

        reports = run(executor, storage, three_tasks())
        assert {name: (r.rows, r.failed) for name, r in reports.items()} == {
            "a": (4, 0),
            "b": (3, 0),
            "c": (1, 0),
        }
        assert all(report.published for report in reports.values())
        assert rows_of(storage) == dict.fromkeys(range(8), "ok")

    def test_a_second_run_doubles_nothing(self, executor, storage):
        run(executor, storage, three_tasks())
        before = {n: storage.read(f"stage/{n}") for n in storage.list_names("stage")}
        reports = run(executor, storage, three_tasks())
        assert len(reports) == 3
        assert not any(report.published for report in reports.values())
        assert {n: storage.read(f"stage/{n}") for n in storage.list_names("stage")} == before

    def test_unfinished_tasks_tell_how_far_they_are(self, executor, storage, monkeypatch):
        from shards import Factory, task

        monkeypatch.setattr("offmanifold.cluster.serial_executor._INTERVAL_SECONDS", 0.1)
        monkeypatch.setattr("offmanifold.cluster.heartbeats._SHORTEST_INTERVAL", 0.1)
        told: list[dict[str, float]] = []
        slow = [replace(task("a", 0, 4, seconds=0.4), kind="slow")]
        executor.run(slow, Factory(storage.root), lambda _: None, on_progress=told.append)
        done = [each["slow"] for each in told if each]
        assert {1.0, 2.0, 3.0} <= set(done)
        assert done == sorted(done)

    def test_nothing_to_do(self, executor, storage):
        assert run(executor, storage, []) == {}

    def test_a_task_that_waits_for_others_is_asked_for_when_they_are_reported(
        self, executor, storage
    ):
        from shards import Factory, rows_of, task

        reported: list[str] = []

        def tasks():
            yield task("a", 0, 2)
            yield task("b", 2, 2, seconds=0.2)
            while len(reported) < 2:
                yield None
            yield task("c", 4, 2)

        executor.run(tasks(), Factory(storage.root), lambda r: reported.append(r.task_id))
        assert (sorted(reported[:2]), reported[2:]) == (["a", "b"], ["c"])
        assert rows_of(storage) == dict.fromkeys(range(6), "ok")
        # The same workers go on.
        assert len(storage.list_names("workers")) <= 2

    def test_an_error_of_what_gives_the_tasks_ends_the_run(self, executor, storage):
        from shards import Factory, task

        def tasks():
            yield task("a", 0, 2)
            raise ArithmeticError("no plan of the next stage")

        with pytest.raises(ArithmeticError, match="no plan"):
            executor.run(tasks(), Factory(storage.root), lambda _: None)

    def test_one_process_does_not_wait_for_what_will_never_be_there(self, storage):
        from shards import Factory

        with pytest.raises(RuntimeError, match="waits for others"):
            SerialExecutor().run([None], Factory(storage.root), lambda _: None)

    def test_an_error_of_the_factory_ends_the_run(self, executor):
        def broken():
            raise FileNotFoundError("no checkpoint at weights.safetensors")

        with pytest.raises(FileNotFoundError, match="no checkpoint at weights"):
            executor.run(three_tasks(), broken, lambda _: None)

    def test_an_error_of_the_worker_ends_the_run_and_parts_stay(self, executor, storage):
        from shards import rows_of, task

        tasks = [task("a", 0, 4), task("b", 4, 3, raises=(5,), seconds=0.3), task("c", 7, 1)]
        with pytest.raises(ArithmeticError, match="item 5 shows a bug"):
            run(executor, storage, tasks)
        assert rows_of(storage).items() >= dict.fromkeys(range(4), "ok").items()
        assert not storage.exists("stage/b")

    def test_a_full_or_missing_disk_ends_the_run(self, executor, storage):
        storage.root.rmdir()
        with pytest.raises(StorageError, match="was the run moved"):
            run(executor, storage, three_tasks())

    def test_an_error_of_the_listener_ends_the_run(self, executor, storage):
        from shards import Factory

        def refuse(_report):
            raise RuntimeError("the listener is gone")

        with pytest.raises(RuntimeError, match="the listener is gone"):
            executor.run(three_tasks(), Factory(storage.root), refuse)


@pytest.mark.usefixtures("local_ray")
class TestRay:
    def test_only_the_item_that_kills_its_worker_is_lost(self, storage):
        from shards import rows_of, task

        tasks = [task("a", 0, 3), task("b", 3, 4, killers=(4,)), task("c", 7, 3)]
        reports = run(ray_executor(), storage, tasks)
        assert {name: (r.rows, r.failed) for name, r in reports.items()} == {
            "a": (3, 0),
            "b": (4, 1),
            "c": (3, 0),
        }
        rows = rows_of(storage)
        assert "worker process has died" in rows.pop(4)
        assert rows == {i: "ok" for i in range(10) if i != 4}
        assert storage.list_names("stage") == ["a", "b", "c"]

    def test_a_worker_that_is_broken_ends_and_another_does_its_work(self, storage, caplog):
        from shards import rows_of, task

        tasks = [task("a", 0, 3, breaks=(1,)), task("b", 3, 3)]
        reports = run(ray_executor(workers=1), storage, tasks)
        assert "a worker process died (shard a" in caplog.text
        assert [report.failed for report in reports.values()] == [0, 0]
        assert rows_of(storage) == dict.fromkeys(range(6), "ok")

    def test_never_more_actors_than_tasks(self, storage):
        run(ray_executor(workers=8), storage, three_tasks()[:2], seconds=0.5)
        assert 1 <= len(storage.list_names("workers")) <= 2

    def test_a_worker_killed_from_outside_costs_nothing(self, storage, caplog):
        from shards import rows_of, task

        def kill_the_first():
            while not (pids := storage.list_names("workers")):
                time.sleep(0.05)
            os.kill(int(pids[0]), signal.SIGKILL)

        killer = threading.Thread(target=kill_the_first)
        killer.start()
        # Whichever worker is seen first is in the middle of its shard.
        both = [task("a", 0, 5, seconds=0.2), task("b", 5, 5, seconds=0.2)]
        reports = run(ray_executor(), storage, both)
        killer.join()
        assert "a worker process died (shard" in caplog.text
        assert [report.failed for report in reports.values()] == [0, 0]
        assert rows_of(storage) == dict.fromkeys(range(10), "ok")

    @pytest.mark.parametrize(
        "how", ["stops", "waits", pytest.param("holds", marks=pytest.mark.slow)]
    )
    def test_a_worker_without_a_sign_of_life_is_replaced(self, storage, caplog, how):
        from shards import rows_of, task

        tasks = [task("a", 0, 2, **{how: (1,)}), task("b", 2, 2)]
        # A thread at work shows itself more often than every 4 seconds, even on a busy machine.
        executor = ray_executor(max_attempts=1, patience=Patience(heartbeat_seconds=4.0))
        reports = run(executor, storage, tasks)
        assert {name: r.failed for name, r in reports.items()} == {"a": 1, "b": 0}
        rows = rows_of(storage)
        assert "gave no sign of life for 4 s" in rows.pop(1)
        assert rows == dict.fromkeys([0, 2, 3], "ok")
        assert "items 0 to 1): the worker gave no sign of life" in caplog.text

    def test_a_worker_that_gets_nowhere_is_replaced(self, storage):
        from shards import rows_of, task

        # The heartbeats of its other thread are answered all the time.
        patience = Patience(heartbeat_seconds=10.0, shard_seconds=2.0)
        run(ray_executor(max_attempts=1, patience=patience), storage, [task("a", 0, 1, spins=(0,))])
        assert "did not finish within 2 s" in rows_of(storage)[0]

    def test_a_slow_worker_that_shows_itself_is_left_alone(self, storage, caplog):
        from shards import rows_of, task

        patience = Patience(heartbeat_seconds=2.0)
        run(ray_executor(patience=patience), storage, [task("a", 0, 12, seconds=0.4)])
        assert rows_of(storage) == dict.fromkeys(range(12), "ok")
        assert not caplog.text

    @pytest.mark.slow
    def test_a_factory_that_hangs_ends_the_run(self):
        def forever():
            threading.Event().wait()

        executor = ray_executor(max_attempts=1, patience=Patience(heartbeat_seconds=2.0))
        with pytest.raises(WorkerDiedError, match=r"starting, .*no sign of life for 2 s"):
            executor.run(three_tasks(), forever, lambda _: None)

    def test_a_factory_that_kills_its_process_ends_the_run(self):
        def fatal():
            os.kill(os.getpid(), signal.SIGKILL)

        with pytest.raises(WorkerDiedError, match="died 2 times while starting"):
            ray_executor().run(three_tasks(), fatal, lambda _: None)

    def test_a_worker_that_no_node_can_hold_is_an_error(self, storage):
        executor = RayExecutor(WorkerResources(gpus_per_worker=64), import_paths=[HERE])
        with pytest.raises(
            ClusterError, match="64 GPU, but no node of the cluster has them: 2 CPU"
        ):
            run(executor, storage, three_tasks())

    @pytest.mark.usefixtures("interruptible")
    def test_a_worker_that_no_node_can_hold_yet_is_waited_for_and_told(self, storage, caplog):
        resources = WorkerResources(gpus_per_worker=64, max_workers=2, autoscaling=True)
        executor = RayExecutor(resources, import_paths=[HERE])
        threading.Timer(3, os.kill, [os.getpid(), signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            run(executor, storage, three_tasks())
        assert "64 GPU, but no node of the cluster has them: 2 CPU, 0 GPU. Waiting" in caplog.text

    @pytest.mark.parametrize("keep", [0, 2])
    def test_an_idle_worker_ends_while_the_last_shard_runs(self, storage, keep):
        from shards import Factory, task

        alive = []

        def count(_report):
            names = storage.list_names("workers")
            alive.append(sum(Path(f"/proc/{name}").exists() for name in names))

        executor = RayExecutor(
            WorkerResources(workers=2, min_workers=keep), import_paths=[HERE], idle_seconds=0.2
        )
        tasks = [task("a", 0, 1, workers=2), task("b", 1, 1, workers=2, seconds=2)]
        executor.run(tasks, Factory(storage.root), count)
        assert len(storage.list_names("workers")) == 2
        assert alive[-1] == max(keep, 1)

    def test_a_worker_without_a_place_does_not_hold_the_run_up(self, storage):
        from shards import rows_of

        resources = WorkerResources(max_workers=3, autoscaling=True)
        executor = RayExecutor(resources, import_paths=[HERE])
        run(executor, storage, three_tasks())
        assert sorted(rows_of(storage)) == list(range(8))
        assert len(storage.list_names("workers")) <= 2

    @pytest.mark.usefixtures("interruptible")
    def test_an_interrupt_ends_the_run_within_seconds(self, storage):
        from shards import task

        def interrupt():
            while not storage.list_names("workers"):
                time.sleep(0.05)
            interrupted.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        interrupted: list[float] = []
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            run(ray_executor(), storage, [task("a", 0, 1, seconds=60)])
        assert time.monotonic() - interrupted[0] < 5
        pid = int(storage.list_names("workers")[0])
        deadline = time.monotonic() + 10
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def test_numerical_threads_follow_the_cpus_of_a_worker(self):
        class ThreadReporter:
            done = 0.0

            def compute(self, payload, start, stop):  # noqa: ARG002
                from shards import Report

                return Report(payload.name, int(os.environ["OMP_NUM_THREADS"]), 0, 0.0, True)

            def assemble(self, payload, spans, lost):  # noqa: ARG002
                raise AssertionError("nothing died")

        reports: list[Any] = []
        executor = RayExecutor(WorkerResources(workers=1, cpus_per_worker=2), import_paths=[HERE])
        executor.run(three_tasks()[:1], ThreadReporter, reports.append)
        assert reports[0].rows == 2

    def test_one_that_died_while_it_had_nothing_to_do_costs_no_attempt(self, storage, monkeypatch):
        from shards import Factory, rows_of, task

        monkeypatch.setattr("offmanifold.cluster.actor_pool._UNSEEN_SECONDS", 0.5)
        reports: list[Any] = []

        def tasks():
            yield task("a", 0, 2)
            while not reports:
                yield None
            (pid,) = storage.list_names("workers")
            rests_until = time.monotonic() + 1.0
            while time.monotonic() < rests_until:
                yield None
            os.kill(int(pid), signal.SIGKILL)
            yield task("b", 2, 1)

        ray_executor(max_attempts=1).run(tasks(), Factory(storage.root), reports.append)
        assert rows_of(storage) == dict.fromkeys(range(3), "ok")
        assert len(storage.list_names("workers")) == 2

    def test_no_actor_is_left_behind(self, storage):
        run(ray_executor(), storage, three_tasks())
        deadline = time.monotonic() + 60
        while ray.available_resources().get("CPU") != ray.cluster_resources()["CPU"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
