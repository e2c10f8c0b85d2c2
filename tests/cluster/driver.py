"""A driver for the tests that kill drivers: resumes a run of numbered shards, then ends.

Usage: driver.py ROOT ADDRESS SHARDS ITEMS SECONDS_PER_ITEM [KILLER_ITEM]...; the address "local"
starts a Ray.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.cluster.ray_executor import RayExecutor
from offmanifold.cluster.ray_session import ray_session
from offmanifold.cluster.resources import WorkerResources
from shards import Factory, pending, task


def plan(shards, items, seconds, killers=()):
    """Shards of ``items`` numbered items each."""
    return [
        task(f"part-{s}", s * items, items, seconds=seconds, killers=killers) for s in range(shards)
    ]


def main(root, address, shards, items, seconds, *killers):
    storage = LocalStorage(Path(root))
    tasks = plan(int(shards), int(items), float(seconds), tuple(map(int, killers)))
    resources = WorkerResources(workers=2)
    with ray_session(None if address == "local" else address, resources):
        print("connected", flush=True)
        executor = RayExecutor(resources, import_paths=[Path(__file__).parent])
        executor.run(pending(storage, tasks), Factory(storage.root), print)
    print("complete", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
