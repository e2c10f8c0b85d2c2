"""A Ray told of two unequal GPU nodes on this machine, and workers on CPUs that come first.

    python tests/cluster/unequal_nodes.py RUN

One node has room for three workers beside its GPU's, the other one's GPUs need all of its CPUs.
Prints, in JSON, at which of them ("roomy", "full") the workers on CPUs were, and then at which
those with GPUs.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import ray
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


def main(run: str) -> None:
    """Keeps the workers of both kinds at once, as a run does."""
    storage = LocalStorage.create(Path(run))
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
        assert beside.workers is not None
        there = 0
        executors = [RayExecutor(each, import_paths=[HERE]) for each in (beside, gpus)]
        for executor, number in zip(executors, (beside.workers, 4), strict=True):
            recorder = Recorder()
            # All are there at once: each waits for as many, and those that were there before.
            there += number
            tasks = [task(f"{there}-{i}", 10 * there + i, 1, workers=there) for i in range(number)]
            executor.run(tasks, Factory(storage.root), lambda _: None, recorder)
            print(json.dumps(sorted(names[node] for node in recorder.nodes.values())), flush=True)
        for executor in executors:
            executor.close()
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
