"""A Ray told of two unequal GPU nodes on this machine, and workers on CPUs that come first.

    python tests/cluster/unequal_nodes.py RUN

One node has room for three workers beside its GPU's, the other one's GPUs need all of its CPUs.
Prints, in JSON, at which of them ("roomy", "full") the workers on CPUs were, and then at which
those with GPUs.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event, Thread

import ray
from offmanifold.cluster.executor import Task
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.cluster.observer import Attempt
from offmanifold.cluster.ray_executor import RayExecutor, node_resources
from offmanifold.cluster.resources import WorkerResources
from offmanifold.jobs.drive import execution
from offmanifold.jobs.spec.audit import ClusterSpec
from ray.cluster_utils import Cluster
from shards import Factory, task

HERE = Path(__file__).parent


class Recorder:
    """Notes the nodes of attempts."""

    def __init__(self) -> None:
        self.nodes: dict[str, str] = {}

    def attempted(self, attempt: Attempt) -> None:
        assert attempt.error is None, attempt.error
        self.nodes[attempt.worker] = attempt.node

    def workers(self, busy: int, idle: int, starting: int) -> None:
        """Nothing to note."""

    def out_of_use(self, places: Sequence[str]) -> None:
        """Nothing to note."""


def tasks_of(number: int, first: int, there: int) -> Iterator[Task]:
    """So many of an item, each of which waits for as many workers as are to be ``there``."""
    return (task(f"{first + i}", first + i, 1, workers=there) for i in range(number))


def main(folder: str) -> None:
    """Keeps the workers of both kinds at once, as a run does."""
    storage = LocalStorage.create(Path(folder))
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    # The full one comes first, so that a choice that knows nothing of GPUs finds it first.
    full = cluster.add_node(num_cpus=3, num_gpus=3)
    roomy = cluster.add_node(num_cpus=4, num_gpus=1)
    names = {full.node_id: "full", roomy.node_id: "roomy"}
    cluster.connect()
    try:
        gpus = WorkerResources(cpus_per_worker=1, gpus_per_worker=1)
        beside = execution._workers_beside(ClusterSpec(), gpus, node_resources())
        assert beside is not None
        few = beside.workers
        assert few is not None
        both = few + 4
        resting, over = Event(), Event()

        def on_cpus() -> Iterator[Task | None]:
            # They stay, with nothing to do, while the others come.
            yield from tasks_of(few, first=0, there=few)
            while len(placed[0].nodes) < few:
                yield None
            resting.set()
            while not over.is_set():
                yield None

        def on_gpus() -> Iterator[Task | None]:
            yield from tasks_of(4, first=few, there=both)

        def run(resources: WorkerResources, tasks: Iterator[Task | None], to: Recorder) -> None:
            executor = RayExecutor(resources, import_paths=[HERE])
            executor.run(tasks, Factory(storage.root), lambda _: None, to)

        placed = [Recorder(), Recorder()]
        thread = Thread(target=run, args=(beside, on_cpus(), placed[0]))
        thread.start()
        assert resting.wait(120)
        run(gpus, on_gpus(), placed[1])
        over.set()
        thread.join()
        for each in placed:
            print(json.dumps(sorted(names[node] for node in each.nodes.values())), flush=True)
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
