"""Chaos: real Ray with several nodes, of which workers, nodes, drivers and links die at random.

Whatever died, the parts are those of an undisturbed run, byte for byte. `pytest -s` prints what was
done to each run, and how much work was repeated.
"""

import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import pytest
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.cluster.serial_executor import SerialExecutor

from .processes import HERE, is_alive, start_driver, wait_for

# Each starts a Ray, and two cores are too few for two at once.
pytestmark = pytest.mark.xdist_group("ray")

ITEMS = 4


@pytest.fixture(scope="module")
def own():
    """The drivers' and the workers' modules, as those find them."""
    sys.path.insert(0, str(HERE))
    import driver
    import shards

    yield driver, shards
    sys.path.remove(str(HERE))


@pytest.fixture
def environment(tmp_path):
    (tmp_path / "home").mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    # One question less to a cluster that has no token, and lives on loopback for a minute.
    return kept | {"HOME": str(tmp_path / "home"), "RAY_AUTH_MODE": "disabled"}


class Run:
    """A run that is disturbed, and the drivers that were sent to finish it."""

    def __init__(self, tmp_path, environment, shards, seconds):
        self.storage = LocalStorage.create(tmp_path / "run")
        self._folder, self._environment = tmp_path, environment
        self._shards, self._seconds = shards, seconds
        self.faults: Counter[str] = Counter()
        self.driver: Any = None

    def send_driver(self, address):
        self.driver = start_driver(
            *(self.storage.root, address, self._shards, ITEMS, self._seconds),
            environment=self._environment,
            folder=self._folder,
        )

    def wait_for_parts(self, more, seconds=120):
        """Until some more parts are there; the run must not end before."""
        enough = len(self.storage.list_names("stage")) + more

        def there():
            if self.driver.poll() is not None:
                raise AssertionError(f"the driver has ended: {self.driver.communicate()[1]}")
            return len(self.storage.list_names("stage")) >= enough

        wait_for(there, seconds)

    def kill_driver(self):
        self.driver.kill()
        self.driver.communicate()
        self.faults["drivers killed"] += 1

    def kill_worker(self, randomness):
        alive = [int(pid) for pid in self.storage.list_names("workers") if is_alive(pid)]
        if not alive:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(randomness.choice(alive), signal.SIGKILL)
            self.faults["workers killed"] += 1

    def finish(self, seconds=240):
        output, errors = self.driver.communicate(timeout=seconds)
        assert self.driver.returncode == 0, errors
        assert output.splitlines()[-1] == "complete"

    def check(self, own, tmp_path):
        """Every part is the undisturbed run's; says what was lost, doubled and repeated."""
        driver, shards = own
        undisturbed = LocalStorage.create(tmp_path / "undisturbed")
        SerialExecutor().run(
            driver.plan(self._shards, ITEMS, 0.0), shards.Factory(undisturbed.root), lambda _: None
        )
        names = undisturbed.list_names("stage")
        assert self.storage.list_names("stage") == names
        for name in names:
            assert self.storage.read(f"stage/{name}") == undisturbed.read(f"stage/{name}"), name
        planned = self._shards * ITEMS
        rows = shards.rows_of(self.storage)
        assert len(rows) == planned
        began = len(shards.computed(self.storage))
        assert began >= planned
        print(
            f"\n{sum(self.faults.values())} faults ({dict(self.faults)}): {planned} rows, "
            f"lost {planned - len(rows)}, doubled 0, work repeated {began / planned - 1:.1%}"
        )


@contextlib.contextmanager
def cluster_of(nodes, environment):
    process = subprocess.Popen(
        [sys.executable, HERE / "chaos_nodes.py", str(nodes)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert address, "Ray did not start: it waits for its own parts for 30 seconds"
        yield process, address
    finally:
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def replace_node(cluster, randomness, nodes):
    cluster.stdin.write(f"replace {randomness.randrange(nodes)}\n")
    cluster.stdin.flush()
    assert cluster.stdout.readline() == "replaced\n"


def disturb(tmp_path, environment, own, faults, shards, seed):
    randomness = random.Random(seed)
    order = list(itertools.chain.from_iterable([name] * n for name, n in faults.items()))
    randomness.shuffle(order)
    run = Run(tmp_path, environment, shards, seconds=0.05)
    nodes = 2
    with cluster_of(nodes, environment) as (cluster, address):
        run.send_driver(address)
        for fault in order:
            run.wait_for_parts(randomness.randint(1, 4))
            time.sleep(randomness.uniform(0, 0.2))
            if fault == "worker":
                run.kill_worker(randomness)
            elif fault == "node":
                replace_node(cluster, randomness, nodes)
                run.faults["nodes lost"] += 1
            else:
                run.kill_driver()
                run.send_driver(address)
        run.finish()
    assert sum(run.faults.values()) >= len(order) - 1
    run.check(own, tmp_path)


@pytest.mark.slow
@pytest.mark.ci
def test_a_worker_a_node_and_a_driver_die(tmp_path, environment, own):
    disturb(tmp_path, environment, own, {"worker": 1, "node": 1, "driver": 1}, shards=40, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_many_workers_nodes_and_drivers_die(tmp_path, environment, own, seed):
    faults = {"worker": 6, "node": 3, "driver": 2}
    disturb(tmp_path, environment, own, faults, shards=150, seed=seed)
